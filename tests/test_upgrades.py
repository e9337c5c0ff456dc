"""A file of rows outlives libraries: rows of one version are never mixed with those of another."""

from __future__ import annotations

import pickle
import warnings

import pytest
from torchvision.transforms import InterpolationMode

from sklearn_pretrained import FeatureCache, PretrainedImageFeaturizer
from sklearn_pretrained.backbones.images import _preprocessing
from sklearn_pretrained.exceptions import CacheWarning, ProvenanceError
from sklearn_pretrained.pinned import _canary, _provenance
from tests.conftest import relative_error

MOVED = (
    "The cache holds rows computed with other library versions.*the canary.*torchvision 0.1 → 0.2"
)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "rows")


@pytest.fixture(autouse=True)
def upgrade(monkeypatch):
    """Let another version of torchvision be installed, which may resize otherwise."""
    version, nearest = _provenance._version, InterpolationMode.NEAREST
    mode = _preprocessing.InterpolationMode

    def to(number, *, resizes_otherwise):
        _canary._known.clear()
        monkeypatch.setattr(
            _provenance, "_version", lambda name: number if name == "torchvision" else version(name)
        )
        other = (lambda _name: nearest) if resizes_otherwise else mode
        monkeypatch.setattr(_preprocessing, "InterpolationMode", other)

    to("0.1", resizes_otherwise=False)
    yield to
    _canary._known.clear()


def embedded(pictures, cache, **parameters):
    ours = PretrainedImageFeaturizer(layer=1, cache=cache, **parameters)
    return ours, ours.fit_transform(pictures)


def test_rows_of_a_version_that_gives_the_same_are_shared(pictures, cache, upgrade):
    """The canary is compared once, and says nothing."""
    embedded(pictures, cache)
    upgrade("0.2", resizes_otherwise=False)
    ours, _ = embedded(pictures, cache)

    assert (ours.counts_.known, ours.counts_.computed) == (2, 0)


def test_rows_of_a_version_that_gives_others_are_not_served(pictures, cache, upgrade):
    """They are computed anew, which is said once, and kept beside those of then."""
    _, old = embedded(pictures, cache)
    upgrade("0.2", resizes_otherwise=True)
    _, expected = embedded(pictures, None)
    with pytest.warns(CacheWarning, match=MOVED):
        ours, new = embedded(pictures, cache)

    assert ours.counts_.computed == 2
    assert relative_error(new, expected) < 1e-5
    assert relative_error(old, expected) > 1e-3
    ours, again = embedded(pictures, cache)
    assert ours.counts_.known == 2
    assert relative_error(again, expected) < 1e-5


def test_both_versions_use_one_file_at_a_time(pictures, cache, upgrade):
    """Going back finds the rows of then."""
    _, old = embedded(pictures, cache)
    upgrade("0.2", resizes_otherwise=True)
    with pytest.warns(CacheWarning, match=MOVED):
        embedded(pictures, cache)
    upgrade("0.1", resizes_otherwise=False)
    ours, back = embedded(pictures, cache)

    assert ours.counts_.known == 2
    assert relative_error(back, old) < 1e-6


@pytest.mark.parametrize("first", ["computed", "known"])
def test_what_was_fitted_on_old_rows_is_served_no_others(first, pictures, cache, upgrade):
    """Nor where all rows were known at fit, or are known today."""
    fitted, _ = embedded(pictures, cache)
    if first == "known":
        _canary._known.clear()
        fitted, _ = embedded(pictures, cache)
    data = pickle.dumps(fitted)
    upgrade("0.2", resizes_otherwise=True)
    with pytest.warns(CacheWarning, match=MOVED):
        embedded(pictures, cache)
    _canary._known.clear()

    with pytest.raises(ProvenanceError, match="does not give the rows that it gave at fit"):
        pickle.loads(data).transform(pictures)


def test_known_rows_need_no_network_once_versions_are_known(pictures, cache, upgrade):
    """The comparison costs one load for each set of versions."""
    embedded(pictures, cache)
    upgrade("0.2", resizes_otherwise=False)
    embedded(pictures, cache)
    _canary._known.clear()
    embedded(pictures, cache)

    assert _canary._known == {}


def test_without_canaries_each_set_of_versions_has_its_own_rows(
    pictures, cache, upgrade, monkeypatch
):
    """In doubt, a row is another one."""
    monkeypatch.setenv(_canary.SWITCH, "0")
    embedded(pictures, cache)
    upgrade("0.2", resizes_otherwise=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours, _ = embedded(pictures, cache)

    assert ours.counts_.computed == 2
