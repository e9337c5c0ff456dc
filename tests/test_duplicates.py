"""Near duplicates: copies share a group, different rows do not."""

from __future__ import annotations

import io
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images
from sklearn.metrics.pairwise import cosine_distances

from sklearn_pretrained import DuplicatesDisplay, PretrainedImageFeaturizer, near_duplicate_groups
from sklearn_pretrained.exceptions import MissingExtraError
from sklearn_pretrained.inspection import _duplicates
from sklearn_pretrained.inspection._duplicates import find_links
from sklearn_pretrained.inspection._marks import OTHER, SAME


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
    copies = [copy(o) for o in originals[::3] for copy in (recompressed, cropped, mirrored)]
    source = np.array([*range(30), *np.repeat(range(0, 30, 3), 3)])
    featurizer = PretrainedImageFeaturizer(image_size=160, augment="flip")
    groups = near_duplicate_groups(featurizer.fit_transform(originals + copies))
    truth, found = pairs(source), pairs(groups)

    assert (groups[30:] == groups[source[30:]]).mean() >= 0.95
    assert (found & ~truth).sum() <= 0.01 * found.sum()


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


@pytest.mark.parametrize("copied", [0, 20, 100])
def test_copies_do_not_move_the_threshold(copied):
    """As long as a quarter of the rows has none."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 64))
    copies = rows[:copied] + random.normal(scale=0.05, size=(copied, 64))
    alone = find_links(rows).threshold

    assert find_links(np.vstack([rows, copies])).threshold == pytest.approx(alone, rel=0.05)


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


@pytest.mark.parametrize("search", ["exact", "index"])
def test_links_are_the_fewest_and_shortest_pairs(search, monkeypatch):
    """One less than the rows of each group; of three copies, the longest side is left out."""
    monkeypatch.setattr(_duplicates, "_CHUNK", 2)
    rows = [[1, 0], [0, 1], [1, 0.02], [1, 0.05], [0, 1], [-1, 0]]
    links = find_links(rows, 0.01, search=search)

    assert links.pairs.tolist() == [[1, 4], [0, 2], [2, 3]]
    assert links.groups.tolist() == [0, 1, 0, 0, 1, 2]
    expected = [cosine_distances([rows[i]], [rows[j]])[0, 0] for i, j in links.pairs]
    np.testing.assert_allclose(links.distances, expected, atol=1e-6)


def test_an_index_finds_the_groups_of_an_exact_search(monkeypatch):
    """It is what "auto" uses for more rows than are compared exactly; each time the same."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(600, 32))
    rows = np.vstack([rows, rows[:60] + random.normal(scale=0.02, size=(60, 32))])
    exact = near_duplicate_groups(rows)
    monkeypatch.setattr(_duplicates, "_MOST_EXACT", 100)

    np.testing.assert_array_equal(near_duplicate_groups(rows), exact)
    np.testing.assert_array_equal(near_duplicate_groups(rows, search="exact"), exact)


def test_a_missing_index_is_named_with_the_other_way(monkeypatch):
    """The extra, or a search of all pairs."""
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(MissingExtraError, match=r"search='exact'.*sklearn-pretrained\[duplicates"):
        near_duplicate_groups(np.eye(3), search="index")


def test_pairs_are_shown_side_by_side(patches):
    """From the nearest to the farthest; other colours where labels differ; told as a table."""
    X, y = [*patches[:6], *patches[:3]], np.array([0, 0, 0, 1, 1, 1, 0, 0, 1])
    featurizer = PretrainedImageFeaturizer(image_size=64, layer="features.6").fit(X)
    display = DuplicatesDisplay.from_estimator(featurizer, X, y, threshold=1e-5)

    assert display.pairs.tolist() == [[0, 6], [1, 7], [2, 8]]
    assert display.figure_ is display.ax_.figure
    colours = [frame.get_edgecolor() for frame in display.ax_.patches]
    assert colours == [plt.matplotlib.colors.to_rgba(c) for c in (SAME,) * 4 + (OTHER,) * 2]
    assert "2: 0" in [text.get_text() for text in display.ax_.texts]
    assert repr(display).splitlines() == [
        "9 rows in 6 groups; near duplicates are within 0.0000",
        "row  row  distance  label  label",
        "  0    6    0.0000  0      0",
        "  1    7    0.0000  0      0",
        "  2    8    0.0000  0      1",
    ]
    plt.close("all")


def test_pairs_of_texts_are_written_out():
    """Evenly spaced from the nearest to the farthest, where there are more than are shown."""
    rows = [[1, 0], [1, 0.01], [0, 1], [0.02, 1], [-1, 0], [-1, 0.03]]
    texts = ["A goal.", "A $ goal.", "Bake bread.", "Bake it.", "Rain.", "No rain."]
    texts = pd.Series(texts, index=[3, 1, 0, 2, 5, 4])  # as train_test_split leaves it
    _, ax = plt.subplots()
    display = DuplicatesDisplay.from_features(rows, items=texts, threshold=0.1, n_pairs=2, ax=ax)

    assert display.which.tolist() == [0, 2]
    assert [text.get_text() for text in ax.texts][1:] == [
        "row 0  A goal.",
        r"row 1  A \$ goal.",
        f"{display.distances[2]:.4f}",
        "row 4  Rain.",
        "row 5  No rain.",
    ]
    assert "2 of 3 pairs" in repr(display)
    assert "Rain.    No rain." in repr(display)
    plt.close("all")


def test_no_pair_is_said():
    """In the plot and in the table."""
    display = DuplicatesDisplay.from_features(np.eye(3), threshold=0.1)

    assert [text.get_text() for text in display.ax_.texts] == ["no near duplicates"]
    assert repr(display) == "3 rows in 3 groups; near duplicates are within 0.1000"
    plt.close("all")
