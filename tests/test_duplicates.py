"""Near duplicates: copies share a group, different rows do not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images
from sklearn.metrics.pairwise import cosine_distances

from sklearn_pretrained import PretrainedImageFeaturizer, _duplicates, near_duplicate_groups


def recompressed(patch):
    file = io.BytesIO()
    Image.fromarray(patch).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))


def cropped(patch):
    edge = round(0.025 * len(patch))
    return patch[edge:-edge, edge:-edge]


def mirrored(patch):
    return patch[:, ::-1]


def pairs(groups):
    return np.triu(groups[:, None] == groups, 1)


def test_copies_of_photographs_share_a_group():
    """Recompressed, cropped by 5% and mirrored; hardly any two different squares do."""
    photographs = [*load_sample_images().images, data.astronaut(), data.chelsea(), data.coffee()]
    originals = [
        np.ascontiguousarray(image[i : i + 140, j : j + 140])
        for image in photographs
        for i in (0, 150)
        for j in (0, 150, 300)
    ]
    copies = [copy(o) for o in originals[::5] for copy in (recompressed, cropped, mirrored)]
    source = np.array([*range(30), *np.repeat(range(0, 30, 5), 3)])
    featurizer = PretrainedImageFeaturizer(image_size=128, augment="flip")
    groups = near_duplicate_groups(featurizer.fit_transform(originals + copies))
    truth, found = pairs(source), pairs(groups)

    assert (groups[30:] == groups[source[30:]]).mean() >= 0.95
    assert (found & ~truth).sum() <= 0.01 * (~truth).sum()


def chained(rows, limit):
    """Follow near pairs from row to row, one at a time."""
    near = cosine_distances(rows) <= limit
    groups = np.full(len(rows), -1)
    for i in range(len(rows)):
        waiting = [i] if groups[i] < 0 else []
        number = groups.max() + 1
        while waiting:
            j = waiting.pop()
            groups[j] = number
            waiting += [k for k in np.flatnonzero(near[j]) if groups[k] < 0]
    return groups


@pytest.mark.parametrize("limit", [0.0001, 0.02, 0.1, 2])
def test_groups_are_the_components_of_all_near_pairs(limit, monkeypatch):
    """As found by hand, whatever the chunks; numbered as they first occur."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3))
    rows = np.vstack([rows, 3 * rows[::4], rows[::5] + rng.normal(scale=0.01, size=(12, 3))])
    monkeypatch.setattr(_duplicates, "_CHUNK", 7)

    np.testing.assert_array_equal(near_duplicate_groups(rows, limit), chained(rows, limit))


def test_the_threshold_follows_the_rows_that_have_no_copy():
    """Copies of half the rows are found, and rows without copies stay alone."""
    rows = np.random.default_rng(0).normal(size=(200, 64))
    copies = rows[:100] + np.random.default_rng(1).normal(scale=0.05, size=(100, 64))
    groups = near_duplicate_groups(np.vstack([rows, copies]))
    np.testing.assert_array_equal(groups, [*range(200), *range(100)])
    np.testing.assert_array_equal(near_duplicate_groups(rows), np.arange(200))


def test_a_single_row_and_equal_rows_are_one_group():
    """There is no distance to learn a threshold from."""
    assert near_duplicate_groups([[1.0, 2.0]]).tolist() == [0]
    assert near_duplicate_groups(np.ones((5, 3))).tolist() == [0] * 5


@pytest.mark.parametrize(
    ("rows", "threshold", "words"),
    [
        ([[1.0], [2.0]], "low", "must be 'auto' or a number, got 'low'"),
        ([[1.0], [2.0]], -0.1, "must lie between 0 and 2, got -0.1"),
        ([[1.0], [np.nan]], "auto", "contains NaN"),
    ],
)
def test_what_makes_no_sense_is_refused(rows, threshold, words):
    """Thresholds that are none, and rows of items that could not be read."""
    with pytest.raises(ValueError, match=words):
        near_duplicate_groups(rows, threshold)
