"""An array that comes again is known by its bytes, and a change of them is never missed."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.inputs import _digest, _known_arrays

from .conftest import make_convnet, to_tensor


@pytest.fixture
def hashed(monkeypatch) -> list[int]:
    """Collect the sizes of arrays that are hashed as a whole."""
    sizes: list[int] = []
    whole = _digest.of_array
    monkeypatch.setattr(_digest, "of_array", lambda a, kind: sizes.append(a.size) or whole(a, kind))
    return sizes


def image(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (100, 100, 3), np.uint8)


def test_an_array_that_comes_again_is_hashed_twice(hashed):
    """When it comes first, since most come once, and when it comes again."""
    array = image()
    found = {_known_arrays.digest_of(array, "pixels") for _ in range(5)}

    assert found == {_digest.of_array(array, "pixels")}
    assert len(hashed) == 2 + 1


CHANGES = {
    "one byte": lambda a: a.__setitem__((50, 50, 1), a[50, 50, 1] ^ 1),
    "all bytes": lambda a: np.invert(a, out=a),
    "its shape": lambda a: setattr(a, "shape", (50, 200, 3)),
    "its type": lambda a: setattr(a, "dtype", np.int8),
}


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_change_in_place_is_seen(what, times):
    """However often the array came before, and also when it is changed back."""
    array = image()
    before = [_known_arrays.digest_of(array, "pixels") for _ in range(times)]
    CHANGES[what](array)
    after = [_known_arrays.digest_of(array, "pixels") for _ in range(3)]

    assert {*after} == {_digest.of_array(array, "pixels")}
    assert after[0] != before[0]
    if what == "all bytes":
        CHANGES[what](array)
        assert _known_arrays.digest_of(array, "pixels") == before[0]


def test_what_an_array_means_is_part_of_its_digest():
    """The same array under two ranges is two items."""
    array = image()
    digests = {_known_arrays.digest_of(array, kind) for kind in "ab" for _ in range(3)}

    assert len(digests) == 2


def test_an_array_at_the_place_of_another_is_another(hashed):
    """What is known of an array ends with it."""
    for seed in range(20):
        array = image(seed)
        for _ in range(2):
            assert _known_arrays.digest_of(array, "x") == _digest.of_array(array, "x")
    del array
    gc.collect()

    assert len(_known_arrays._pasts) == 0


@pytest.mark.parametrize("array", [image()[::2], image()[:10, :10].copy()])
def test_small_arrays_and_views_with_gaps_are_hashed_each_time(array, hashed):
    """To look them up would cost as much."""
    for _ in range(3):
        _known_arrays.digest_of(array, "x")

    assert len(hashed) == 3


def test_an_array_is_forgotten_when_the_names_of_modules_are_gone(monkeypatch):
    """As they are at the end of a process, which ends without a word."""
    array, pasts = image(), _known_arrays._pasts
    _known_arrays.digest_of(array, "x")
    key = id(array)
    assert key in pasts
    monkeypatch.setattr(_known_arrays, "_pasts", None)
    del array
    gc.collect()

    assert key not in pasts


def test_the_memo_is_bounded(monkeypatch):
    """The arrays that came first are forgotten first."""
    _known_arrays._pasts.clear()
    monkeypatch.setattr(_known_arrays, "_MOST", 5)
    arrays = [image(seed) for seed in range(9)]
    for array in arrays:
        _known_arrays.digest_of(array, "x")

    assert [*_known_arrays._pasts] == [id(array) for array in arrays[-5:]]


def test_a_transform_sees_an_image_that_was_changed_in_place():
    """Its row is that of what it holds now."""
    images = [image(seed) for seed in range(3)]
    ours = PretrainedImageFeaturizer(make_convnet, preprocessing=to_tensor, device="cpu").fit(
        images
    )
    for _ in range(3):
        before = ours.transform(images)
    images[1][:] = images[2]
    after = ours.transform(images)

    np.testing.assert_array_equal(after[1], before[2])
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
