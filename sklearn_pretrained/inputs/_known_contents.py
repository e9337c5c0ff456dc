"""The content of an item → its digest; content that came before is told in a faster way.

A search asks for the digest of each array again for every candidate and fold. An array may have
been changed in place, so it is read each time, and a hash that can be deceived could give a wrong
row. What comes a third time is compared with a copy, as far as copies have room; the rest is told
by GMAC, where it is installed.

GMAC is a universal hash, several times faster than BLAKE3: whatever two contents somebody chooses,
of at most 1 GiB, they share a mark with a probability below 2**-100, as long as the key is not
known. It is drawn by each process, and neither it nor a mark ever leaves the process.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..process import keep, remembered
from . import _digest
from ._copies import copies

_LEAST, _MOST_BYTES = 1 << 14, 1 << 30
"""Bytes from which on a mark pays, and for which its bound holds."""
_MOST = 1 << 18  # at some 250 bytes each
_NONCE = bytes(12)  # one for all, so that equal contents have equal marks
_MARK = 16  # bytes, behind what is encrypted
_known: dict[bytes, bytes] = {}
keep(f"{__name__}._known", "digests of contents", clear=_known.clear, size=_known.__len__)


@remembered("the key of what is hashed again")
def _cipher() -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:  # an extra
        return None
    return AESGCM(AESGCM.generate_key(128))


def digest_of(content: NDArray[Any] | bytes | memoryview, kind: str, *, again: bool) -> bytes:
    """Hash the content of an item.

    Parameters
    ----------
    content : ndarray, bytes or memoryview
    kind : str
        What it means.
    again : bool
        Whether the same content is likely to come again.
    """
    if isinstance(content, np.ndarray):
        if not content.flags.c_contiguous:
            content = np.ascontiguousarray(content)
        form: tuple[Any, ...] = kind, content.dtype, content.shape
        size = content.nbytes
    else:
        size = len(content)
        form = kind, size
    if not (again and _LEAST <= size <= _MOST_BYTES):
        return _digest.of_bytes(*_flat(content, kind))
    key = copies.key(content, form)
    digest = copies.find(key, content)
    if digest is None:
        data, kind = _flat(content, kind)
        # Digest and copy are of the same, whoever changes the array.
        copy = bytes(data) if copies.comes_again(key, size) else None
        digest = _hashed(data if copy is None else copy, kind)
        copies.note(key, digest, copy)
    return digest


def _flat(content: Any, kind: str) -> tuple[bytes | memoryview, str]:
    """Return the bytes of a content, and what they mean."""
    if isinstance(content, np.ndarray):
        kind, content = _digest.flat(content, kind)
    return content, kind


def _hashed(content: bytes | memoryview, kind: str) -> bytes:
    cipher = _cipher()
    if cipher is None:
        return _digest.of_bytes(content, kind)
    digest = _known.get(_mark(cipher, content, kind))
    if digest is None:
        content = bytes(content)  # mark and digest are of the same
        digest = _digest.of_bytes(content, kind)
        _known[_mark(cipher, content, kind)] = digest
        if len(_known) > _MOST:
            with contextlib.suppress(RuntimeError):  # another thread has just added one
                _known.pop(next(iter(_known)), None)
    return digest


def _mark(cipher: Any, content: bytes | memoryview, kind: str) -> bytes:
    """Authenticate a kind, which is short, and a content, which need not be encrypted."""
    mark: bytes = cipher.encrypt(_NONCE, kind.encode(), content)[-_MARK:]
    return mark
