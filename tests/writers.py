"""A shared cache → rows of random items, written until the process ends, and merged now and then.

python -m tests.writers FOLDER SEED ITEMS
"""

from __future__ import annotations

import os
import random
import sys

from sklearn_pretrained import SharedFeatureCache
from sklearn_pretrained.cache.segments import SegmentStore
from tests.test_segments import BUNDLE, digest, rows


def write(place: str | os.PathLike[str], seed: str, n: int, told: int) -> None:
    """Store rows for ever, and say which are stored, four bytes each, to a file descriptor."""
    store, dice = SegmentStore(place), random.Random(seed)
    while True:
        some = dice.sample(range(n), 20)
        store.refresh()
        found = store.get(BUNDLE, [digest(i) for i in some])
        missing = [i for i, got in zip(some, found, strict=True) if got is None]
        if missing and store.put(BUNDLE, [digest(i) for i in missing], rows(*missing)):
            os.write(told, b"".join(i.to_bytes(4, "big") for i in missing))
        if dice.random() < 0.05:
            SharedFeatureCache(place).compact()


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]), 1)
