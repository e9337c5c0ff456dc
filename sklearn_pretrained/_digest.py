"""The content of an item → 16 bytes that stand for it.

XXH3 is no cryptographic hash: it tells different items apart by accident, not by malice. It is
what keeps the price of knowing an item a hundredth of the price of computing it.
"""

from __future__ import annotations

import numpy as np
import xxhash
from numpy.typing import NDArray


def of_bytes(data: bytes | memoryview, kind: str) -> bytes:
    """Hash bytes; ``kind`` says what they mean, so that equal bytes of two kinds differ."""
    return xxhash.xxh3_128(data, seed=_seed(kind)).digest()


def of_array(array: NDArray[np.generic], kind: str) -> bytes:
    """Hash an array by its type, shape and values."""
    dense = np.ascontiguousarray(array)
    kind = f"{kind}:{dense.dtype.str}:{dense.shape}"
    return xxhash.xxh3_128(dense.reshape(-1).view(np.uint8).data, seed=_seed(kind)).digest()


def of_text(text: str | tuple[str, str]) -> bytes:
    """Hash a text, or a pair of texts, by its UTF-8 form."""
    if isinstance(text, tuple):
        first, second = (part.encode("utf-8") for part in text)
        return of_bytes(first + second, f"pair:{len(first)}")
    return of_bytes(text.encode("utf-8"), "text")


def _seed(kind: str) -> int:
    return xxhash.xxh3_64_intdigest(kind.encode())
