"""Programs of torch.export as networks: their layers, their files, and what is refused."""

from __future__ import annotations

import functools
import logging
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    embed_weights,
    list_layers,
)
from sklearn_pretrained.backbones._weights import EMBEDDED, read
from sklearn_pretrained.backbones.torchvision._networks import SHIPPED
from sklearn_pretrained.exceptions import WeightsError
from tests.conftest import make_convnet, make_mlp, relative_error, to_tensor

ANY = torch.export.Dim.DYNAMIC
PRESET = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()


def export(network, shape=(3, 32, 32), *, batch=2, dynamic=None):
    sizes = ({0: ANY} if dynamic is None else dynamic,)
    return torch.export.export(network, (torch.zeros(batch, *shape),), dynamic_shapes=sizes)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return make_convnet().eval()


def load(path):
    """Say that a program is loaded from a file that is trusted."""
    return functools.partial(torch.export.load, path)


@pytest.fixture
def path(network, tmp_path):
    torch.export.save(export(network), tmp_path / "tiny.pt2")
    return str(tmp_path / "tiny.pt2")


@pytest.fixture
def quiet():
    """Keep what torch logs of files that it cannot read out of the output."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def featurizer(model, **parameters):
    own = {"preprocessing": to_tensor, "device": "cpu", "cache": None, **parameters}
    return PretrainedImageFeaturizer(model, **own)


@pytest.mark.parametrize("layer", ["penultimate", "output", "stem", "body.0", -1, ["stem", "body"]])
def test_a_program_has_the_layers_of_the_network_it_was_made_from(network, path, patches, layer):
    """By their names, with the same rows, whatever number of images comes."""
    ours = featurizer(load(path), layer=layer).fit(patches)
    same = featurizer(network, layer=layer).fit(patches)

    assert ours.layer_ == same.layer_
    assert relative_error(ours.transform(patches), same.transform(patches)) < 1e-5
    assert relative_error(ours.transform(patches[:1]), same.transform(patches[:1])) < 1e-5


@pytest.mark.slow
def test_a_real_network_gives_the_same_features_exported(pictures, tmp_path):
    """MobileNetV2 with the shipped weights, and the preprocessing of those weights."""
    network = mobilenet_v2()
    network.load_state_dict(read(EMBEDDED / SHIPPED["mobilenet_v2"][1]))
    torch.export.save(export(network.eval(), (3, 224, 224)), tmp_path / "mobilenet.pt2")
    layers = ["features.6", "penultimate"]
    ours = featurizer(
        load(tmp_path / "mobilenet.pt2"), preprocessing=PRESET, layer=layers
    ).fit_transform(pictures)
    named = PretrainedImageFeaturizer(layer=layers, resize="exact", cache=None)

    assert relative_error(ours, named.fit_transform(pictures)) < 1e-5


def test_the_table_of_layers_is_that_of_the_network(network, path):
    """Widths, shapes and costs included."""
    ours, same = (
        str(list_layers(model, preprocessing=to_tensor)) for model in (load(path), network)
    )

    assert ours.splitlines()[1:] == same.splitlines()[1:]


def test_a_program_may_read_images_of_several_sizes(network, tmp_path, patches):
    """Then no axis needs to be guessed, and those of the preprocessing are read."""
    program = export(network, dynamic={0: ANY, 2: ANY, 3: ANY})
    ours = featurizer(program, layer="body", pooling="max").fit_transform(patches)

    expected = featurizer(network, layer="body", pooling="max").fit_transform(patches)
    assert relative_error(ours, expected) < 1e-5


def test_a_pickle_holds_the_path_and_pins_the_file(network, path, patches):
    """Another program at the same path is refused, and the file is all that a pickle names."""
    ours = featurizer(load(path)).fit(patches)
    copy = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(copy.transform(patches), ours.transform(patches))
    torch.manual_seed(1)
    torch.export.save(export(make_convnet().eval()), path)

    with pytest.raises(WeightsError, match="not those that this estimator was fitted with"):
        copy.transform(patches)


@pytest.mark.parametrize("from_file", [True, False])
def test_a_program_is_not_embedded(network, path, patches, from_file):
    """It has a file of its own, and the error says so when embedding, not when the file is used."""
    ours = featurizer(load(path) if from_file else export(network)).fit(patches)

    with pytest.raises(WeightsError, match="cannot be embedded: it is an exported program"):
        embed_weights(ours)


def test_a_program_in_memory_is_shared_by_clones_and_noticed_when_it_changes(patches):
    """As a module is."""
    program = export(make_convnet().eval())
    ours = featurizer(program).fit(patches)
    rows = ours.transform(patches)

    assert clone(ours).model is program
    assert rows.shape == (24, 16)
    with torch.no_grad():
        program.state_dict["body.0.weight"].add_(1)
    with pytest.raises(WeightsError, match="not those that this estimator was fitted with"):
        ours.transform(patches)


def test_programs_over_numbers_are_read_too(tmp_path):
    """Without preprocessing a program reads rows."""
    network = make_mlp().eval()
    torch.export.save(export(network, (8,)), tmp_path / "mlp.pt2")
    X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    ours = ModuleFeaturizer(load(tmp_path / "mlp.pt2"), layer="output").fit_transform(X)
    with torch.no_grad():
        expected = network(torch.from_numpy(X)).numpy()

    assert relative_error(ours, expected) < 1e-5


class Attending(nn.Module):
    """Attends with dropout that is always on."""

    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: export(make_mlp().train(), (8,)), "training mode"),
        (lambda: export(Attending(), (4, 8)), "training mode .*dropout_p=0.1"),
        (lambda: export(make_mlp().eval(), (8,), batch=3, dynamic={}), "exactly 3. Export it for"),
        (lambda: export(nn.Linear(8, 2), (5, 8)), r"shape \(5, 8\), but would receive \(8,\)"),
        (
            lambda: torch.export.export(
                nn.Bilinear(8, 8, 1), (torch.zeros(2, 8), torch.zeros(2, 8)),
                dynamic_shapes=({0: ANY}, {0: ANY}),
            ),
            "takes 2 inputs",
        ),
    ],
)  # fmt: skip
def test_programs_that_give_no_rows_are_refused_at_fit(make, told):
    """With what to do instead."""
    with pytest.raises(ValueError, match=told):
        ModuleFeaturizer(make()).fit(np.zeros((4, 8), np.float32))


def test_weights_beside_a_program_are_refused(path, patches):
    """It has its own."""
    with pytest.raises(ValueError, match="an exported program comes with its weights"):
        featurizer(load(path), weights="other.safetensors").fit(patches)


class Branching(nn.Module):
    """Chooses one of two functions by what is in the batch."""

    def forward(self, x):
        return torch.cond((x > 1).any(), torch.sin, torch.cos, (x,))


class Swapped(nn.Module):
    """Applies two layers in either order; the names of the weights alone tell which."""

    def __init__(self, *, swapped):
        super().__init__()
        self.swapped = swapped
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        if self.swapped:
            return self.first(self.second(x))
        return self.second(self.first(x))


def test_programs_that_compute_otherwise_are_told_apart():
    """Also where they differ only in which weight is used where."""
    digests = []
    for swapped in (False, True):
        torch.manual_seed(0)
        program = export(Swapped(swapped=swapped).eval(), (8,))
        ours = ModuleFeaturizer(program, layer="output", device="cpu")
        digests.append(ours.fit(np.ones((2, 8), np.float32)).weights_digest_)

    assert digests[0] != digests[1]


@torch.library.custom_op("tests_program::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    """Compute by code that no program holds."""
    return x * 2


double.register_fake(torch.empty_like)


class Doubling(nn.Module):
    """Calls an operator of its own."""

    def forward(self, x):
        return double(x)


@pytest.mark.parametrize(
    ("kind", "named"), [(Doubling, "tests_program.double"), (Branching, "cond")]
)
def test_a_program_with_operators_of_its_own_or_with_branches_is_refused(kind, named):
    """Code that is elsewhere could change unnoticed; a branch may depend on the batch."""
    with pytest.raises(ValueError, match=f"calls {named}.*not one of torch's plain operators"):
        ModuleFeaturizer(export(kind(), (8,))).fit(np.zeros((4, 8), np.float32))


def test_a_missing_or_damaged_file_is_named(path, patches, tmp_path, quiet):
    """A file cut short, and one that is something else; nobody is told to run what is in it."""
    whole = (tmp_path / "tiny.pt2").read_bytes()
    (tmp_path / "short.pt2").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pt2").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as other:
        other.writestr("tiny/archive_version", "0")
    for name in ("short.pt2", "empty.pt2", "other.pt2"):
        told = f"{name} could not be read as an exported program.*export the network again"
        with pytest.raises(WeightsError, match=told) as caught:
            featurizer(load(tmp_path / name)).fit(patches)
        assert "weights_only" not in str(caught.value)
    with pytest.raises(WeightsError, match="no weights file at"):
        featurizer(load(tmp_path / "gone.pt2")).fit(patches)


# -- files that would run code


class Bomb:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


def with_a_pickle(path, target):
    """Rewrite a program's file so that loading it runs code."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as hostile:
        for name in old.namelist():
            is_sample = name.endswith("sample_inputs/model.pt")
            hostile.writestr(name, pickle.dumps(Bomb()) if is_sample else old.read(name))
    return target


def test_no_file_of_a_program_is_opened_unless_the_user_says_so(
    path, patches, tmp_path, monkeypatch
):
    """Whatever it looks like to a reader of archives; the error says how to say so."""
    monkeypatch.setenv("BOMB", str(tmp_path / "went off"))
    hostile = with_a_pickle(path, tmp_path / "hostile.pt2")
    refused = pytest.raises(ValueError, match=r"run code.*partial\(torch.export.load, path\)")
    for model in (str(hostile), path):
        with refused:
            featurizer(model).fit(patches)
        with refused:
            list_layers(model)
    assert not (tmp_path / "went off").exists()


def test_a_call_that_loads_a_program_holds_its_path_and_nothing_else(path, patches):
    """Other arguments would decide rows, and are in no digest."""
    model = functools.partial(torch.export.load, path, expected_opset_version={})
    with pytest.raises(ValueError, match="one path and nothing else"):
        featurizer(model).fit(patches)
