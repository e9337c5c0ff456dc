"""Hundreds of hostile and odd items: each is the right row, or an error that names it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_pretrained import FeatureCache, PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.cache._cache import MemoryCache
from sklearn_pretrained.exceptions import BadItemError, BadItemWarning
from tests.conftest import relative_error
from tests.hostile import images, texts, trial
from tests.hostile.__main__ import try_apart

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def rows(made) -> dict[int, np.ndarray | None]:
    """Compute the reference's row of each image once."""
    return {id(item): trial.image_row(item) for _, item in made}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> list[images.Case]:
    """Make the images, and see that nothing in them was run."""
    folder = tmp_path_factory.mktemp("hostile")
    yield images.all_made(folder, folder / "trap")
    assert not (folder / "trap").exists()


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_each_image_is_pillows_row_or_an_error_and_no_bad_one_is_cached(made, rows, kind, tmp_path):
    """All in one request, in seconds; the second time the good rows are known, the bad tried."""
    cache = MemoryCache(1 << 26) if kind == "memory" else FeatureCache(tmp_path / "rows")
    featurizer = trial.images(cache=cache)
    first = trial.run(featurizer, made, lambda item: rows[id(item)])

    assert len(made) >= 500
    assert first.wrong == first.stricter == []
    assert min(first.rows, first.errors.total()) > 200
    assert first.seconds < 60
    stored = cache.stats()["rows"]
    assert stored <= first.rows
    second = trial.run(featurizer, made, lambda item: rows[id(item)])
    assert (second.rows, second.errors) == (first.rows, first.errors)
    assert second.wrong == []
    assert cache.stats()["rows"] == cache.stats()["forwards"] == stored


def test_the_pictures_that_packages_carry_are_read_as_pillow_reads_them():
    """Photographs, drawings, palettes, 16 bits and animations of several packages."""
    cases = [case for case in images.installed() if "sphinx" not in case[0]]
    report = trial.run(trial.images(), cases, trial.image_row)

    assert report.rows >= 40
    assert report.wrong == report.stricter == []


def test_each_text_is_transformers_row_or_an_error():
    """The big list of naughty strings, all of Unicode, and what stands in columns of texts."""
    cases = texts.all_made()
    cache = MemoryCache(1 << 26)
    report = trial.run(trial.texts(cache=cache), cases, trial.text_row)

    assert len(cases) >= 500
    assert report.wrong == report.stricter == []
    assert min(report.rows, report.errors.total() * 5) > 400
    assert report.seconds < 60
    assert cache.stats()["rows"] <= report.rows


@pytest.mark.parametrize("which", range(12))
def test_the_first_bad_item_is_an_error_that_names_it(made, which):
    """And the featurizer works as before afterwards."""
    good = ("good", images.in_mode("RGB"))
    reading = trial.images()
    bad = [
        case
        for case in [*made[which::37], *images.no_images()][:40]
        if trial.image_row(case[1]) is None
    ]
    cases = [good, good, bad[which % len(bad)]]
    featurizer = trial.images(on_error="raise").fit([good[1]])
    with pytest.raises(BadItemError, match=r"^Item 2 of X.*[Rr]emove it, or pass on_error='nan'"):
        featurizer.transform([item for _, item in cases])

    np.testing.assert_array_equal(featurizer.transform([good[1]]), reading.fit_transform([good[1]]))


def test_equal_bad_items_are_all_listed():
    """Only the first of them is tried, and each is reported."""
    X = [b"junk", images.in_mode("RGB"), b"junk", "no.png", "no.png", b"junk"]
    featurizer = trial.images().fit(X)
    with pytest.warns(BadItemWarning, match="5 items of X"):
        rows = featurizer.transform(X)

    assert np.isnan(rows).all(axis=1).tolist() == [True, False, True, True, True, True]
    assert list(featurizer.bad_items_) == [0, 2, 3, 4, 5]
    assert featurizer.bad_items_[5].startswith("Item 5 of X could not be read as an image")


def test_a_postscript_file_is_a_program_and_is_not_run(made):
    """Pillow would hand it to Ghostscript, in files and in images that were opened lazily."""
    eps = dict(made)["EPS of RGB"]
    for item in (eps, Image.open(io.BytesIO(eps))):
        with pytest.raises(BadItemError, match="which Pillow would run as a program"):
            trial.images(on_error="raise").fit_transform([item])


def test_a_text_is_the_same_beside_a_pair():
    """A pair with an empty second text is another item."""
    featurizer = PretrainedTextFeaturizer(cache=None, device="cpu", layer=1)
    alone = [featurizer.fit_transform([item])[0] for item in ("a cat", ("a cat", ""), ("a", "b"))]
    together = featurizer.fit_transform(["a cat", ("a cat", ""), ("a", "b")])

    assert relative_error(together, np.stack(alone)) < 1e-5
    assert relative_error(alone[:1], alone[1:2]) > 1e-3


@pytest.mark.parametrize("resize", ["fast", "exact"])
def test_elongated_images_are_read_or_refused_and_never_fill_the_memory(resize):
    """A picture of 1 × 5000 pixels, made 256 high, would have 300 million."""
    long = [images.photo(k, (9000, 9)) for k in range(3)]
    thin = images.photo(0, (1, 5000))
    featurizer = PretrainedImageFeaturizer(
        resize=resize, cache=None, device="cpu", on_error="nan", layer=0
    )
    with pytest.warns(BadItemWarning, match=r"Item 3 of X is too elongated \(1×5000 pixels\)"):
        rows = featurizer.fit_transform([*long, thin, images.photo()])

    assert np.isfinite(rows).all(axis=1).tolist() == [True, True, True, False, True]


def test_bombs_take_little_memory_and_time():
    """Files of some kilobytes that claim, or become, gigabytes."""
    program = (
        "import resource, time; from tests.hostile import images, trial;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10;"
        "cases = list(images.bombs()); ready = trial.images(on_error='nan');"
        "ready.fit_transform([images.photo()]); before, began = peak(), time.monotonic();"
        "report = trial.run(ready, cases, lambda item: None);"
        "assert report.errors.total() >= 12 and time.monotonic() - began < 10, report;"
        "assert peak() - before < 300, peak() - before"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


@pytest.mark.slow
def test_the_command_counts_crashes_hangs_and_rows(tmp_path):
    """Each batch has a process of its own, and what kills or delays it is named."""
    good = images.save(images.in_mode("RGB"), "PNG")
    for name in ("a.png", "crash.png", "hang.png"):
        (tmp_path / name).write_bytes(good)
    counts = try_apart("folder", [str(tmp_path)], batch=2, limit=5, faults=True)

    assert counts["rows"] == 1
    assert [name for name in counts["crashes"] if "crash.png" in name]
    assert [name for name in counts["hangs"] if "hang.png" in name]
