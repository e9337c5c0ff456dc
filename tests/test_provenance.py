"""What was pinned at fit is recorded, printed, and compared at use."""

from __future__ import annotations

import json
import pickle
import re
import shutil

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torchvision.transforms import InterpolationMode

from sklearn_pretrained import (
    FeatureCache,
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    backbones,
    memory_cache,
)
from sklearn_pretrained.backbones.images import _preprocessing as _images
from sklearn_pretrained.exceptions import ProvenanceError, ProvenanceWarning
from sklearn_pretrained.pinned import _canary
from sklearn_pretrained.running import eager
from tests.conftest import make_convnet, make_mlp, to_tensor

TEXTS = ["The cat sat on the mat.", "Stocks fell sharply."]


@pytest.fixture(autouse=True)
def new_process():
    """Forget what this process has computed, as a new one would."""
    _canary._known.clear()
    _canary._unreadable.clear()
    memory_cache().clear()
    yield
    _canary._known.clear()


def saved(X, **parameters):
    """Give what a file holds of a featurizer that was fitted and used."""
    fitted = PretrainedImageFeaturizer(layer=1, cache=None, **parameters)
    fitted.fit_transform(X)
    data = pickle.dumps(fitted)
    _canary._known.clear()
    return data


# -- the record


def test_provenance_prints_as_text_for_a_model_card(pictures):
    """Model, revision, digest, preprocessing, layer, precision, versions, date."""
    ours = PretrainedImageFeaturizer(layer="features.6", pooling="max").fit(pictures)
    text = str(ours.provenance())

    assert re.match(r"PretrainedImageFeaturizer, fitted 20\d\d-\d\d-\d\dT", text)
    for line in (
        "- model: torchvision/mobilenet_v2",
        "- revision: IMAGENET1K_V1",
        "- layer: features.6",
        "- pooling: max",
        "- dtype: float32",
        f"  - sha256: {ours.weights_digest_}",
        "crop 224",
        f"  - torch: {torch.__version__.partition('+')[0]}",
        f"  - numpy: {np.__version__}",
    ):
        assert line in text


def test_provenance_is_json_for_programs_and_the_same_after_a_pickle():
    """A text encoder names its tokenizer's library and its length."""
    ours = PretrainedTextFeaturizer(layer=[0, 1], cache=None).fit(TEXTS)
    ours.transform(TEXTS)
    record = json.loads(json.dumps(ours.provenance().to_dict()))

    assert record["preprocessing"]["max_length"] == 256
    assert {"transformers", "tokenizers"} <= set(record["versions"])
    assert record["canary"] == "recorded"
    assert pickle.loads(pickle.dumps(ours)).provenance() == ours.provenance()


def test_provenance_needs_a_fit():
    """As scikit-learn says it."""
    with pytest.raises(NotFittedError):
        PretrainedImageFeaturizer().provenance()


def test_a_commit_of_the_hub_is_the_revision(tmp_path):
    """The hub's cache keeps each commit in a folder of its name."""
    folder = tmp_path / "models--me--bert" / "snapshots" / "0123abcd"
    shutil.copytree(backbones.find_text(PretrainedTextFeaturizer().model).folder, folder)

    fitted = PretrainedTextFeaturizer(str(folder)).fit(TEXTS)
    assert fitted.provenance().to_dict()["revision"] == "0123abcd"


# -- the canary


def test_fit_runs_no_network_and_the_first_forward_records_the_canary(pictures, forwarded):
    """The canary counts as no row."""
    ours = PretrainedImageFeaturizer(layer=1, cache=None).fit(pictures)
    assert ours.provenance().to_dict()["canary"] == "not recorded yet"
    assert forwarded == []

    ours.transform(pictures)
    assert ours.provenance().to_dict()["canary"] == "recorded"
    assert (sum(forwarded), ours.counts_.computed) == (2, 2)
    assert len(pickle.dumps(ours)) < 3_000


def test_a_search_draws_the_canary_once(patches, monkeypatch):
    """Whatever the layers, folds and clones; what it found best has it recorded."""
    drawn = []
    picture = _canary.image
    monkeypatch.setattr(_canary, "image", lambda: drawn.append(1) or picture())
    pipeline = make_pipeline(PretrainedImageFeaturizer(), LogisticRegression())
    grid = {"pretrainedimagefeaturizer__layer": ["features.2", "features.3", -1]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(patches, [0] * 12 + [1] * 12)

    assert len(drawn) == 1
    assert search.best_estimator_[0].provenance().to_dict()["canary"] == "recorded"


def test_preprocessing_that_changed_is_caught_before_any_row(pictures, monkeypatch):
    """A library that resizes otherwise than it did; the error says how far and what to do."""
    data = saved(pictures)
    one = _images.ImagePreprocessing.one

    def nearest(self, image):
        monkeypatch.setattr(_images, "InterpolationMode", lambda name: InterpolationMode.NEAREST)
        return one(self, image)

    monkeypatch.setattr(_images.ImagePreprocessing, "one", nearest)
    opened = pickle.loads(data)
    opened._provenance["versions"]["torchvision"] = "0.1"
    with pytest.raises(
        ProvenanceError, match=r"does not give the rows that it gave at fit"
    ) as caught:
        opened.transform(pictures)
    assert "torchvision 0.1 → " in str(caught.value)
    assert "SKLEARN_PRETRAINED_CANARY=0" in str(caught.value)
    assert opened.counts_.computed == 0

    monkeypatch.setenv("SKLEARN_PRETRAINED_CANARY", "0")
    assert opened.transform(pictures).shape == (2, 16)
    monkeypatch.delenv("SKLEARN_PRETRAINED_CANARY")
    assert opened.fit(pictures).transform(pictures).shape == (2, 16)


def test_a_network_that_computes_otherwise_is_caught(pictures, monkeypatch):
    """By about one percent, which no metric would notice."""
    data = saved(pictures)
    call = backbones.find_image("mobilenet_v2").__class__.call

    def other(self, network, batch):
        return call(self, network, batch * 1.01 + 0.01)

    monkeypatch.setattr(backbones.find_image("mobilenet_v2").__class__, "call", other)
    with pytest.raises(ProvenanceError, match="All library versions are unchanged"):
        pickle.loads(data).transform(pictures)


def test_texts_that_become_other_tokens_are_caught(monkeypatch):
    """What looks like a special token, in a version that takes it for one."""
    fitted = PretrainedTextFeaturizer(cache=None)
    fitted.fit_transform(TEXTS)
    data = pickle.dumps(fitted)
    _canary._known.clear()
    kind = type(backbones.find_text(fitted.model))
    prepare = kind.prepare
    monkeypatch.setattr(
        kind, "prepare", lambda self, texts: prepare(self, [t.replace("[SEP]", "") for t in texts])
    )

    with pytest.raises(ProvenanceError, match="canary"):
        pickle.loads(data).transform(TEXTS)


@pytest.mark.parametrize(("dtype", "fast"), [("float32", "0"), ("bfloat16", "1")])
def test_other_ways_to_the_same_rows_are_no_alarm(dtype, fast, pictures, monkeypatch):
    """Networks as they were loaded, other batches, less precision: within the tolerance."""
    data = saved(pictures, dtype=dtype)
    monkeypatch.setenv("SKLEARN_PRETRAINED_FAST", fast)
    eager.unload()
    opened = pickle.loads(data).set_params(batch_size=1)

    assert opened.transform(pictures).shape == (2, 16)
    assert len(_canary._known) == 1
    eager.unload()


def test_the_distance_is_that_of_rows():
    """The folded canary moves as far as the whole row does, relative to its norm."""
    rng = np.random.default_rng(0)
    row = rng.normal(size=2000).astype(np.float32)
    for share in (1e-4, 1e-2, 0.5):
        moved = row + share * np.linalg.norm(row) / np.sqrt(2000) * rng.normal(size=2000)
        then, now = (_canary.sketch(row),), (_canary.sketch(moved.astype(np.float32)),)
        found = _canary.compare(then, now, "float32")
        if share < 1e-3:
            assert found is None
        else:
            assert 0.6 * share < found[1] < 1.5 * share


def only_squares(image):
    """Prepare images as someone would who has no others."""
    if image.size not in {(200, 200), (400, 300)} or image.getpixel((0, 0)) == (0, 0, 0):
        raise ValueError("no square")
    return to_tensor(image)


def test_a_network_that_cannot_read_the_canary_has_none_and_says_so_once(patches):
    """A preprocessing of one's own may take nothing but its own images; rows are right."""
    ours = PretrainedImageFeaturizer(make_convnet, preprocessing=only_squares, layer="stem")
    with pytest.warns(ProvenanceWarning, match="could not read the canary.*ValueError: no square"):
        assert ours.fit_transform(patches).shape == (24, 8)

    assert ours.provenance().to_dict()["canary"] == "not recorded yet"
    memory_cache().clear()
    assert ours.fit_transform(patches).shape == (24, 8)


def test_a_canary_that_cannot_be_computed_any_more_is_an_error(pictures, monkeypatch):
    """What was recorded cannot be compared, so rows may be others."""
    data = saved(pictures)
    monkeypatch.setattr(_canary, "image", lambda: np.zeros((0, 4, 3), np.uint8))

    with pytest.raises(ProvenanceError, match=r"cannot read the canary.*that it could read at fit"):
        pickle.loads(data).transform(pictures)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("no memory")])
def test_memory_that_runs_out_at_the_canary_is_no_silence(error, pictures, monkeypatch):
    """One item does not fit, so none would."""
    ours = PretrainedImageFeaturizer(layer=1, cache=None).fit(pictures)

    def full(*_args, **_more):
        raise error

    monkeypatch.setattr(_canary, "sketch", full)
    with pytest.raises(type(error)):
        ours.transform(pictures)


def test_networks_over_numbers_have_a_canary_too():
    """Another activation between the same tensors is another network."""
    X = np.random.default_rng(0).normal(size=(5, 8))
    ours = ModuleFeaturizer(make_mlp, cache=None).fit(X)
    ours.transform(X)

    assert ours.provenance().to_dict()["canary"] == "recorded"


def test_rows_that_are_known_need_no_network_and_no_canary(pictures, tmp_path, forwarded):
    """A second run over a disk cache stays as cheap as it was, and takes over what was recorded."""
    cache = FeatureCache(tmp_path / "rows")
    PretrainedImageFeaturizer(layer=1, cache=cache).fit_transform(pictures)
    _canary._known.clear()
    eager.unload()
    again = PretrainedImageFeaturizer(layer=1, cache=cache).fit(pictures)
    again.transform(pictures)

    assert _canary._known == {}
    assert again.provenance().to_dict()["canary"] == "recorded"


# -- the recipe


def test_a_tokenizer_that_changed_in_its_folder_is_refused(tmp_path):
    """The same weights, and other tokens: the error names what differs."""
    folder = tmp_path / "encoder"
    shutil.copytree(backbones.find_text(PretrainedTextFeaturizer().model).folder, folder)
    fitted = PretrainedTextFeaturizer(str(folder), layer=0).fit(TEXTS)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "added": 1}))

    with pytest.raises(ProvenanceError, match=r"not prepared as it was at fit: folder was"):
        fitted.transform(TEXTS)
