"""Rows that a test can tell to be right: each is a function of its digest and its outputs."""

from __future__ import annotations

import numpy as np
import xxhash

from sklearn_pretrained.cache import Request
from sklearn_pretrained.recipe._recipe import Bundle

BUNDLE = Bundle("recipe", (("layer", 300), ("deeper", 212)))


def digest_of(i: int) -> bytes:
    """Make the digest of item i."""
    return xxhash.xxh3_128_digest(i.to_bytes(8, "little"))


def row_of(digest: bytes, bundle: Bundle = BUNDLE) -> np.ndarray:
    """Make the only right row of a digest."""
    parts = []
    for name, width in bundle.outputs:
        seed = xxhash.xxh3_64_intdigest(digest + name.encode())
        ramp = np.arange(width, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed & 0xFFFF)
        parts.append((ramp >> np.uint32(8)).astype(np.float32) + np.float32(seed >> 48))
    return np.concatenate(parts)


def rows_of(digests: list[bytes], bundle: Bundle = BUNDLE) -> np.ndarray:
    """Make the right rows of several."""
    return np.stack([row_of(digest, bundle) for digest in digests])


def computing(digests: list[bytes], seen: list[bytes] | None = None, batch: int = 8):
    """Make a ``compute`` that gives right rows, batch by batch, and notes what it computed."""

    def compute(positions, bundle):
        for start in range(0, len(positions), batch):
            part = positions[start : start + batch]
            if seen is not None:
                seen.extend(digests[i] for i in part)
            yield part, rows_of([digests[i] for i in part], bundle)

    return compute


def fetch(cache, digests: list[bytes], bundle: Bundle = BUNDLE, **options):
    """Ask a cache for rows; return them, and the digests that were computed."""
    seen: list[bytes] = []
    out = np.full((len(digests), bundle.width), np.nan, np.float32)
    cache.fetch(Request(bundle, bundle, digests, computing(digests, seen, **options), out))
    return out, seen
