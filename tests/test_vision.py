"""Networks of transformers over images, and the text towers beside them."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer, list_layers
from sklearn_pretrained.backbones import find_image
from sklearn_pretrained.backbones._weights import digest_of
from sklearn_pretrained.backbones.transformers import _loading as _transformers
from sklearn_pretrained.exceptions import LayerError, WeightsError
from sklearn_pretrained.running.eager import load
from tests import tower_zoo, vision_zoo
from tests.text_zoo import TEXTS

pytestmark = pytest.mark.filterwarnings(
    # transformers speaks of its own future, whatever reads a BLIP.
    "ignore:.*deprecated.*:FutureWarning:transformers"
)
CPU = {"device": "cpu", "cache": None}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save one tiny CLIP for all tests."""
    return tower_zoo.make_folder(tmp_path_factory.mktemp("networks") / "clip", "CLIP")


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    """Save a tiny DINOv2 with registers that a test may change."""
    return vision_zoo.make_folder(tmp_path / "dinov2", "DINOv2 registers")


def gap(rows: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest relative error of a row."""
    return float((np.linalg.norm(rows - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


@pytest.mark.parametrize("family", vision_zoo.FAMILIES)
def test_every_family_equals_transformers(family, tmp_path):
    """Hidden states, what the classifier reads, logits and projections, from its own processor."""
    rows = vision_zoo.compare(vision_zoo.make_folder(tmp_path / "tiny", family), family)

    assert any(name == "penultimate:auto" for name, _ in rows)
    assert {name: error for name, error in rows if error > vision_zoo.TOLERANCE} == {}


@pytest.mark.parametrize("family", tower_zoo.FAMILIES)
def test_text_towers_equal_transformers_text_features(family, tmp_path):
    """Each text alone in the reference, all together here; SigLIP's padded to their full length."""
    rows = tower_zoo.compare(tower_zoo.make_folder(tmp_path / "tiny", family), family)

    assert [name for name, _ in rows] == ["projection:auto", "0:mean", "1:mean", "2:mean"]
    assert {name: error for name, error in rows if error > tower_zoo.TOLERANCE} == {}


@pytest.mark.parametrize("family", ["ViT", "ConvNeXt", "CLIP", "LeViT", "MobileViT"])
def test_exact_resizing_equals_transformers_pil_processor(family, tmp_path):
    """`resize="exact"` gives what the processor with the PIL backend gives."""
    folder = vision_zoo.make_folder(tmp_path / "tiny", family)
    backbone = find_image(str(folder), resize="exact")
    images = vision_zoo.images()
    ours = backbone.collate(backbone.prepare(images), torch.device("cpu"), torch.float32)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    expected = processor([Image.fromarray(i) for i in images], return_tensors="pt")["pixel_values"]

    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_a_row_depends_on_its_image_alone(dinov2):
    """Batches of any size and order, and a pickle in between, change nothing."""
    images = vision_zoo.images()
    featurizer = PretrainedImageFeaturizer(str(dinov2), layer=["penultimate", 0.5], **CPU)
    together = featurizer.fit_transform(images)
    alone = np.vstack([featurizer.transform([image]) for image in images])
    again = pickle.loads(pickle.dumps(featurizer)).set_params(batch_size=2)

    assert gap(together, alone) < 1e-5
    assert gap(again.transform(images[::-1])[::-1], alone) < 1e-5
    assert len(pickle.dumps(featurizer)) < 10_000


def test_the_weights_stay_what_they_are(dinov2):
    """Rows leave no trace in the network."""
    featurizer = PretrainedImageFeaturizer(str(dinov2), **CPU).fit(["an item"])
    where = (torch.device("cpu"), torch.float32, featurizer.weights_digest_)
    before = digest_of(load(find_image(str(dinov2)), *where).module)
    featurizer.transform(vision_zoo.images() * 8)

    assert digest_of(load(find_image(str(dinov2)), *where).module) == before


def test_another_preprocessing_is_another_recipe(dinov2):
    """Rows in the cache are never served for a folder whose processor was changed."""
    images = vision_zoo.images()
    options = {"device": "cpu", "cache": "memory"}
    before = PretrainedImageFeaturizer(str(dinov2), **options).fit_transform(images)
    settings = json.loads((dinov2 / "preprocessor_config.json").read_text())
    settings["image_mean"] = [0.1, 0.2, 0.3]
    (dinov2 / "preprocessor_config.json").write_text(json.dumps(settings))
    after = PretrainedImageFeaturizer(str(dinov2), **options).fit_transform(images)

    assert gap(after, before) > 1e-3


def test_patches_class_token_and_registers_are_told_apart(dinov2):
    """The mean is one of patches, "cls" is the class token, and "auto" takes the latter."""
    images = vision_zoo.images()[:2]
    network = transformers.AutoModel.from_pretrained(dinov2).eval()
    pixels = transformers.AutoImageProcessor.from_pretrained(dinov2)(
        [Image.fromarray(image) for image in images], return_tensors="pt"
    )
    with torch.no_grad():
        tokens = network(**pixels).last_hidden_state.numpy()
    rows = {
        pooling: PretrainedImageFeaturizer(str(dinov2), pooling=pooling, **CPU).fit_transform(
            images
        )
        for pooling in ("auto", "cls", "avg")
    }

    assert tokens.shape[1] == 1 + 3 + 16
    assert gap(rows["cls"], tokens[:, 0]) < 1e-5
    assert gap(rows["avg"], tokens[:, 4:].mean(1)) < 1e-5
    np.testing.assert_array_equal(rows["auto"], rows["cls"])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_pictures_of_every_mode_are_read(clip, mode):
    """Also those that transformers' own processors give cryptic errors on."""
    picture = Image.fromarray(vision_zoo.images()[0]).convert(mode)
    file = io.BytesIO()
    picture.save(file, format="TIFF")
    featurizer = PretrainedImageFeaturizer(str(clip), **CPU)

    assert np.isfinite(featurizer.fit_transform([picture, file.getvalue()])).all()


def test_images_and_texts_meet_in_one_space(clip):
    """`layer="projection"` of both towers has one width, and each tower is loaded alone."""
    images = PretrainedImageFeaturizer(str(clip), layer="projection", **CPU)
    texts = PretrainedTextFeaturizer(str(clip), layer="projection", **CPU)
    rows = images.fit_transform(vision_zoo.images()), texts.fit_transform(TEXTS)
    tower = find_image(str(clip)).build()

    assert [part.shape[1] for part in rows] == [20, 20]
    assert not [name for name, _ in tower.named_parameters() if "text" in name]


def test_list_layers_shows_the_tower_that_is_asked_for(clip):
    """A network over both is one over images, and the featurizer of texts shows its own."""
    images, texts = list_layers(str(clip)), list_layers(PretrainedTextFeaturizer(str(clip)))

    assert [layer.name for layer in images] == [
        *(f"hidden_{i}" for i in range(4)), "penultimate", "projection", "output",
    ]  # fmt: skip
    assert [layer.name for layer in texts][:3] == ["hidden_0", "hidden_1", "hidden_2"]
    assert images[-2].shape == texts[-2].shape == (20,)


@pytest.mark.parametrize("family", ["DINOv2", "Swin", "ResNet"])
def test_networks_without_fixed_positions_read_other_sizes(family, tmp_path):
    """`image_size` changes the row, as it does for torchvision's networks."""
    folder = str(vision_zoo.make_folder(tmp_path / "tiny", family))
    images = vision_zoo.images()
    usual = PretrainedImageFeaturizer(folder, **CPU).fit_transform(images)
    larger = PretrainedImageFeaturizer(folder, image_size=64, **CPU).fit_transform(images)

    assert usual.shape == larger.shape
    assert gap(larger, usual) > 1e-4


def test_what_cannot_be_read_is_refused_with_the_fix(clip, dinov2, tmp_path):
    """Sizes, layers, processors and folders that make no sense are named."""
    with pytest.raises(ValueError, match=r"image_size=64: clip accepts only images of 32×32"):
        PretrainedImageFeaturizer(str(clip), image_size=64).fit(["an item"])
    with pytest.raises(LayerError, match="no layer 'projection'"):
        PretrainedImageFeaturizer(str(dinov2), layer="projection").fit(["an item"])
    with pytest.raises(ValueError, match=r"dinov2.*is an image network.*PretrainedImageFeaturizer"):
        PretrainedTextFeaturizer(str(dinov2)).fit(["an item"])
    transformers.PixtralImageProcessor().save_pretrained(dinov2)
    with pytest.raises(ValueError, match="PixtralImageProcessor, which does more than resize"):
        PretrainedImageFeaturizer(str(dinov2)).fit(["an item"])
    (dinov2 / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"has no preprocessor_config\.json"):
        PretrainedImageFeaturizer(str(dinov2)).fit(["an item"])
    captions = vision_zoo.make_folder(tmp_path / "captions", "BLIP captions")
    with pytest.raises(ValueError, match="captions generates captions"):
        PretrainedTextFeaturizer(str(captions)).fit(["an item"])


def test_a_tokenizer_without_a_fast_form_is_refused_with_the_alternative(clip, monkeypatch):
    """The first SigLIP's needs a library of its own, and would be slow with it."""

    def missing(*_args, **_options):
        raise ImportError("SiglipTokenizer requires the SentencePiece library")

    _transformers.tokenizer.cache_clear()
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", missing)
    with pytest.raises(WeightsError, match=r"has no fast form: SiglipTokenizer.*SigLIP 2 instead"):
        PretrainedTextFeaturizer(str(clip)).fit(TEXTS)


def test_a_network_that_is_nowhere_says_where_it_was_looked_for(monkeypatch):
    """The hub's cache and local folders are named, and which files a folder needs."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"The network 'nobody/nothing'.*preprocessor_config"):
        PretrainedImageFeaturizer("nobody/nothing").fit(["an item"])
