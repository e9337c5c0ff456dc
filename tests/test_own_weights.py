"""A network of one's own with its state dict in a file: pinned, and refused where it is wrong."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import MobileNet_V2_Weights

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.exceptions import WeightsError
from tests.conftest import make_convnet, relative_error, to_tensor


def featurizer(weights, **parameters):
    own = {"preprocessing": to_tensor, "device": "cpu", "cache": None, **parameters}
    return PretrainedImageFeaturizer(make_convnet, weights=weights, **own)


def save(state, path):
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    return path


@pytest.fixture
def trained():
    torch.manual_seed(7)
    return make_convnet()


@pytest.mark.parametrize("name", ["net.safetensors", "net.pt", "net.pth"])
def test_a_file_of_weights_gives_the_rows_of_the_network_it_was_saved_from(
    name, trained, patches, tmp_path
):
    """By its path, in each of the usual formats; a pickle pins its digest."""
    path = save(trained.state_dict(), tmp_path / name)
    ours = featurizer(path).fit(patches)
    same = PretrainedImageFeaturizer(trained, preprocessing=to_tensor, cache=None, device="cpu")

    assert relative_error(ours.transform(patches), same.fit_transform(patches)) < 1e-5
    copy = pickle.loads(pickle.dumps(ours))
    save(make_convnet().state_dict(), path)
    with pytest.raises(WeightsError, match=r"SHA-256 \w+ was pinned"):
        copy.transform(patches)


@pytest.mark.timeout(60)
def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(trained, patches, tmp_path):
    """Opening it would wait until somebody writes to it."""
    path = save(trained.state_dict(), tmp_path / "net.pt")
    ours = featurizer(path).fit(patches)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(WeightsError, match="There is no weights file at"):
        ours.transform(patches)


@pytest.mark.parametrize("name", ["net.safetensors", "net.pt"])
def test_a_file_cut_short_is_named(name, trained, patches, tmp_path):
    """What a download that broke off leaves behind."""
    path = save(trained.state_dict(), tmp_path / name)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(WeightsError, match=rf"{name} (is not a valid|could not be read)"):
        featurizer(path).fit(patches).transform(patches)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state.pop("head.bias"), "(?s)do not fit the network.*Missing.*head.bias"),
        (lambda state: state.update(more=torch.zeros(1)), "(?s)do not fit.*Unexpected.*more"),
        (
            lambda state: state.update({"head.weight": torch.zeros(2, 16)}),
            "(?s)do not fit.*size mismatch for head.weight",
        ),
    ],
)
def test_the_weights_of_another_network_are_refused(change, told, trained, patches, tmp_path):
    """Never half of them."""
    state = trained.state_dict()
    change(state)
    path = save(state, tmp_path / "net.safetensors")

    with pytest.raises(WeightsError, match=told):
        featurizer(path).fit(patches).transform(patches)


def test_a_whole_network_that_was_pickled_is_refused(trained, patches, tmp_path):
    """Opening it would run code."""
    path = save(trained, tmp_path / "net.pt")

    with pytest.raises(WeightsError, match="Save the state dict"):
        featurizer(path).fit(patches).transform(patches)


def test_the_preset_of_pretrained_weights_survives_a_pickle(patches, tmp_path, trained):
    """Torchvision's `transforms()` is an object of its own, and pickles as such."""
    path = save(trained.state_dict(), tmp_path / "net.safetensors")
    preset = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    ours = featurizer(path, preprocessing=preset).fit(patches[:3])
    rows = ours.transform(patches[:3])

    assert rows.shape == (3, 16)
    assert relative_error(pickle.loads(pickle.dumps(ours)).transform(patches[:3]), rows) < 1e-6


def test_a_lambda_works_until_something_pickles_it(patches, tmp_path, trained):
    """Python says which one it was."""
    path = save(trained.state_dict(), tmp_path / "net.safetensors")
    ours = featurizer(path, preprocessing=lambda image: to_tensor(image) / 2).fit(patches)

    assert ours.transform(patches).shape == (24, 16)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(ours)
