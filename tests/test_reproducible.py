"""The same rows in every process, with any threads, batches and caches: the whole matrix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_pretrained import (
    FeatureCache,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    memory_cache,
)
from sklearn_pretrained.running import eager
from tests.conftest import relative_error

TOLERANCE = 1e-5
THREADS, BATCHES = (1, 2), (1, 7, "auto")
TEXTS = [("rain falls on the old bridge " * 30)[: 3 + 19 * i] for i in range(8)]


def pictures() -> list[np.ndarray]:
    """Cut squares of several sizes from the sample pictures."""
    from sklearn.datasets import load_sample_images

    return [
        np.ascontiguousarray(image[k * 40 : k * 40 + 180, k * 70 : k * 70 + 200 + 9 * k])
        for image in load_sample_images().images
        for k in range(4)
    ]


def make(kind: str, **parameters):
    """Make a featurizer over the real network, and its items."""
    options = {"device": "cpu", **parameters}
    if kind == "images":
        return PretrainedImageFeaturizer(
            layer=["features.6", -1], image_size=96, **options
        ), pictures()
    return PretrainedTextFeaturizer(layer=[3, -1], **options), TEXTS


def matrix(kind: str, folder: Path) -> list[tuple[str, np.ndarray]]:
    """Compute the rows in every way of this process."""
    found = []
    threads = torch.get_num_threads()
    for n in THREADS:
        torch.set_num_threads(n)
        for size in BATCHES:
            memory_cache().clear()
            file = FeatureCache(folder / f"{kind}-{n}-{size}")
            # Of each cache the second time is the warm one.
            for cache in (None, "memory", "memory", file, file):
                featurizer, X = make(kind, batch_size=size, cache=cache)
                found.append((f"{n} threads, {size}, {cache}", featurizer.fit_transform(X)))
    torch.set_num_threads(threads)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["images", "texts"])
def test_rows_are_the_same_in_every_cell_of_the_matrix(kind, tmp_path):
    """Two processes × threads 1, 2 × batches of 1, 7, auto × caches none, cold, warm, on disk."""
    program = (
        "import sys, numpy as np; from pathlib import Path; from tests.test_reproducible import *;"
        "folder = Path(sys.argv[1]); found = matrix(sys.argv[2], folder);"
        "np.savez(folder / 'rows.npz', **dict(found))"
    )
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(
        [sys.executable, "-c", program, there, kind],
        cwd=Path(__file__).parent.parent,
        check=True,
        timeout=300,
    )
    featurizer, X = make(kind, cache=None, batch_size=1)
    expected = np.vstack([featurizer.fit_transform([item]) for item in X])
    eager.unload()
    cells = matrix(kind, tmp_path)
    with np.load(there / "rows.npz") as rows:
        cells += [(f"in a child, {name}", rows[name]) for name in rows]
    cells.append(("in a child's file", make(kind, cache=there / f"{kind}-2-7")[0].fit_transform(X)))

    assert len(cells) >= 2 * 2 * 3 * 4 + 1
    for name, rows in cells:
        assert relative_error(rows, expected) <= TOLERANCE, name
    assert relative_error(expected[1:], expected[:-1]) > 100 * TOLERANCE
