"""How much memory a fit takes as rows grow tenfold: from a cache file, each in a fresh process.

    python benchmarks/finetuning_memory.py            # 1,000 and 10,000 pictures
    python benchmarks/finetuning_memory.py 500 5000

Pictures are random and of 32 × 32 pixels, and are drawn as they are read, so that what grows is not
the data. The peak is that of the whole process, libraries included.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROWS = ("1000", "10000")


def fit(n: int, place: str) -> None:
    """Fit on so many pictures, and print the peak."""
    import torch

    from sklearn_pretrained import FeatureCache, FineTunedClassifier, PretrainedImageFeaturizer

    torch.set_num_threads(1)
    X = Drawn(n)
    y = np.arange(n) % 2
    featurizer = PretrainedImageFeaturizer(
        "mobilenet_v2", image_size=64, cache=FeatureCache(Path(place) / "rows.sqlite")
    )
    tuned = FineTunedClassifier(
        featurizer, train_from="features.13", epochs=1, batch_size=64, random_state=0, verbose=True
    ).fit(X, y)
    tuned.predict(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n:8,} pictures: peak {peak:,.0f} MiB", flush=True)


class Drawn:
    """A sequence of pictures that are drawn when they are read."""

    def __init__(self, n: int, start: int = 0) -> None:
        self._n, self._start = n, start

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i):
        if isinstance(i, slice):
            start, stop, _ = i.indices(self._n)
            return Drawn(stop - start, self._start + start)
        if not isinstance(i, int | np.integer):
            return [self[int(k)] for k in i]
        if not 0 <= i < self._n:
            raise IndexError(i)
        random = np.random.RandomState(self._start + int(i))
        return random.randint(0, 256, (32, 32, 3), dtype=np.uint8)


def main(rows: list[str]) -> None:
    """Start a process for each number of rows."""
    for n in rows:
        with tempfile.TemporaryDirectory() as place:
            subprocess.run([sys.executable, __file__, "--fit", n, place], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fit"]:
        fit(int(sys.argv[2]), sys.argv[3])
    else:
        main(sys.argv[1:] or list(ROWS))
