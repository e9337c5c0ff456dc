"""Parameters as people write them: other names, enumerations, objects of torch and torchvision."""

from __future__ import annotations

import enum
import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torchvision.models import MobileNet_V2_Weights, ResNet18_Weights

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer
from sklearn_pretrained.cache import _workers
from sklearn_pretrained.exceptions import CacheWarning, WeightsError
from sklearn_pretrained.running import resolve_devices
from tests.conftest import make_convnet, relative_error, to_tensor
from tests.hostile import trial
from tests.inputs.corpus import photo

X = [photo(seed) for seed in range(3)]
NETWORK = make_convnet()


class Choice(str, enum.Enum):  # noqa: UP042  whose str() is not its text, unlike a StrEnum's
    """What a settings file of an application may hold."""

    BODY = "body"
    MAX = "max"
    MEAN = "mean"
    CPU = "cpu"
    NAN = "nan"
    FLOAT = "float32"


def images(**parameters):
    own = {"preprocessing": to_tensor, "device": "cpu", "cache": None, "layer": "body"}
    return PretrainedImageFeaturizer(NETWORK, **{**own, **parameters})


def facts(featurizer):
    """What is pinned, and what the columns are called."""
    pinned = (featurizer.layer_, featurizer.pooling_, featurizer.dtype_)
    return [*pinned, *featurizer.get_feature_names_out()]


@pytest.mark.parametrize(
    "parameters",
    [
        {"layer": Choice.BODY, "pooling": Choice.MAX},
        {"layer": [Choice.BODY], "pooling": Choice.MAX},
        {"device": Choice.CPU, "dtype": Choice.FLOAT, "on_error": Choice.NAN},
        {"device": [Choice.CPU]},
        {"pooling": Choice.MEAN},
    ],
)
def test_a_member_of_a_str_enum_is_its_text(parameters):
    """In every parameter, so that rows, names and pickles are those of the text."""
    plain = {
        name: [part.value for part in value] if isinstance(value, list) else value.value
        for name, value in parameters.items()
    }
    ours, same = images(**parameters).fit(X), images(**plain).fit(X)

    assert facts(ours) == facts(same)
    assert {type(fact) for fact in facts(ours)} <= {str, list}
    assert "Choice" not in str(facts(ours))
    assert relative_error(ours.transform(X), same.transform(X)) < 1e-5


def test_a_search_over_processes_hints_at_a_cache_in_a_file(monkeypatch):
    """Once in each of joblib's workers, where they would compute the same rows."""
    _workers._hint.cache_clear()
    monkeypatch.setattr(multiprocessing.current_process(), "name", "LokyProcess-1")
    images(cache=None).fit_transform(X)
    with pytest.warns(CacheWarning, match=r"n_jobs.*cache='features.sqlite'"):
        images(cache="memory").fit_transform(X)
    images(cache="memory").fit_transform(X)
    _workers._hint.cache_clear()


def test_mean_and_avg_are_the_same_pooling():
    """For images, numbers and texts alike, with the same names and the same known rows."""
    texts = ["a cat", "two dogs and a cat"]
    rows = np.eye(8, dtype=np.float32)[:, None, :].repeat(3, 1)
    sequence = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU())
    for make, data in [
        (images, X),
        (trial.texts, texts),
        (lambda **k: ModuleFeaturizer(sequence, layer="output", cache=None, **k), rows),
    ]:
        avg, mean = (make(pooling=name).fit(data) for name in ("avg", "mean"))
        assert facts(avg) == facts(mean)
        assert relative_error(avg.transform(data), mean.transform(data)) < 1e-5


def test_a_device_may_be_torchs_own():
    """Alone or in a list; what is not a device is refused by name."""
    cpu = torch.device("cpu")
    assert resolve_devices(cpu) == resolve_devices([cpu]) == resolve_devices("cpu") == [cpu]
    assert relative_error(images(device=cpu).fit_transform(X), images().fit_transform(X)) < 1e-5
    with pytest.raises(ValueError, match=r"'device' parameter .*an instance of 'torch.device'"):
        images(device=3).fit(X)


def test_weights_may_be_a_member_of_torchvisions_enumeration():
    """With the row of its name, in clones and pickles too; another network's is refused."""
    options = {"cache": None, "device": "cpu", "image_size": 32}
    member = MobileNet_V2_Weights.IMAGENET1K_V1
    ours = PretrainedImageFeaturizer(weights=member, **options).fit(X)
    named = PretrainedImageFeaturizer(weights="IMAGENET1K_V1", **options)
    expected = named.fit_transform(X)

    assert clone(ours).weights is member
    for one in (ours, pickle.loads(pickle.dumps(ours))):
        assert relative_error(one.transform(X), expected) < 1e-5
    with pytest.raises(WeightsError, match=r"ResNet18_Weights.IMAGENET1K_V1 does not belong to"):
        PretrainedImageFeaturizer(weights=ResNet18_Weights.IMAGENET1K_V1).fit(X)


def test_a_clone_has_parameters_and_nothing_that_was_fitted(monkeypatch):
    """It is not made by way of a file, which takes longer: a search makes one for each fit."""
    ours = images(layer=["body"], keep_layers=["body"]).fit(X)
    monkeypatch.setattr(PretrainedImageFeaturizer, "__getstate__", None)
    monkeypatch.setattr(PretrainedImageFeaturizer, "__setstate__", None)
    twin = clone(ours)

    assert twin.get_params() == ours.get_params()
    assert twin.model is NETWORK
    assert twin.layer is not ours.layer
    assert {*vars(twin)} == {*ours.get_params()}


@pytest.mark.parametrize("name", ["vit_base_patch16_224", "resnet10t.c3_in1k"])
def test_a_name_of_timm_without_its_prefix_is_hinted_at(name):
    """Since torchvision's names have none."""
    with pytest.raises(ValueError, match=f"Did you mean 'timm/{name}'"):
        PretrainedImageFeaturizer(name).fit(X)
