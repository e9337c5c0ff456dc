"""The content of an item → 32 bytes that stand for it.

BLAKE3 over the kind of content, a zero byte, and the content. It is a cryptographic hash, so that
nobody can make two items that share a row, and has no key, so that machines can share rows without
sharing a secret.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..process import remembered


def of_bytes(data: bytes | memoryview, kind: str) -> bytes:
    """Hash bytes; ``kind`` says what they mean, so that equal bytes of two kinds differ."""
    from blake3 import blake3  # who only reads items needs none

    return blake3(kind.encode() + b"\0").update(data).digest()


def of_array(array: NDArray[np.generic], kind: str) -> bytes:
    """Hash an array by its type, shape and values."""
    kind, data = flat(array, kind)
    return of_bytes(data, kind)


def flat(array: NDArray[np.generic], kind: str) -> tuple[str, memoryview]:
    """Bring an array into bytes, and its type and shape into their kind."""
    dense = np.ascontiguousarray(array)
    return _full(kind, dense.dtype, dense.shape), dense.reshape(-1).view(np.uint8).data


@remembered("what stands for the types of arrays", maxsize=64)
def _full(kind: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return f"{kind}:{dtype.str}:{shape}"


def of_text(text: str | tuple[str, str]) -> bytes:
    """Hash a text, or a pair of texts, by its UTF-8 form."""
    if isinstance(text, tuple):
        first, second = (part.encode("utf-8") for part in text)
        return of_bytes(first + second, f"pair:{len(first)}")
    return of_bytes(text.encode("utf-8"), "text")
