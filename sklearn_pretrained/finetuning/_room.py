"""A trunk and X → the bytes that its activations take, told before they are computed."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..cache import FeatureCache, MemoryCache
from ..exceptions import CacheWarning
from ..process import warn
from ._aside import width_of


def cache_of(trunk: Any) -> Any:
    """Return the cache that a fitted trunk's rows go into."""
    return trunk._means(trunk.road())[0]


def room_of(cache: Any) -> float:
    """Return the bytes of rows that a cache keeps such that any of them is read fast."""
    if isinstance(cache, MemoryCache):
        return cache.store.max_bytes
    if isinstance(cache, FeatureCache):
        return np.inf if cache.max_size is None else cache.max_size
    return 0  # none, or a folder, which is read file by file


def estimate(trunk: Any, X: Any, n: int) -> int:
    """Estimate the bytes that the rows of a fitted trunk take in its cache."""
    road = trunk.road()
    ((layer, _),) = road.outputs
    return n * width_of(trunk, layer, X, n) * np.dtype(road.dtype).itemsize


def tell(trunk: Any, n: int, n_bytes: int, *, shown: bool) -> None:
    """Say how much there will be; warn where the cache cannot hold it."""
    what = f"{n:,} activations of {trunk.layer_} take {n_bytes / 2**20:,.0f} MiB"
    if shown:
        print(f"{trunk.model_}: {what}", file=sys.stderr)  # noqa: T201  asked for
    room = room_of(cache_of(trunk))
    if 0 < room < n_bytes:
        warn(
            f"{what}, and the cache holds {room / 2**20:,.0f} MiB, so every fit computes them "
            "again. Use a larger cache on the featurizer, such as a file "
            "(cache='features.sqlite'), record_dtype='float16', which halves them, or train from "
            "a layer nearer to the output.",
            CacheWarning,
        )
