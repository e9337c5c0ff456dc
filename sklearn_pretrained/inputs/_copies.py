"""Contents that came twice → a copy of each, with which those that come again are compared.

To compare with a copy takes the time of reading both, a fraction of that of any hash, and cannot be
deceived. A few bytes of a content say which copy it may be equal to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..process import ForkLock, keep

MOST_BYTES = 128 << 20
_MOST = 1 << 14  # contents of which there is a copy, or may be one later
_SAMPLES = 16
_UNUSED = 4
"""Rounds through all copies, about, after which one that nobody asks for gives up its place."""

Content = NDArray[Any] | bytes | memoryview
Key = tuple[tuple[Any, ...], bytes]


@dataclass(slots=True)
class _Entry:
    digest: bytes
    copy: bytes | None  # None for what came once
    seen: int


class Copies:
    """Copies of contents, by what is read of them at a few places.

    Parameters
    ----------
    most_bytes : int
        That all of them may take. Contents that come in turns, and do not fit, keep their places:
        were the oldest to go, each would be gone when it comes again.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._entries: dict[Key, _Entry] = {}
        self._bytes = self._asked = 0
        self._lock = ForkLock()

    def __len__(self) -> int:
        return len(self._entries)

    def key(self, content: Content, form: tuple[Any, ...]) -> Key:
        """Return what equal contents have in common, and few others.

        Parameters
        ----------
        content : ndarray, contiguous, or bytes or memoryview
        form : tuple
            What it means, and its type and shape, or its length.
        """
        if isinstance(content, np.ndarray):
            some = content.ravel()[:: content.size // _SAMPLES | 1].tobytes()
        else:
            some = bytes(content[:: len(content) // _SAMPLES | 1])
        return form, some

    def find(self, key: Key, content: Content) -> bytes | None:
        """Return the digest of a content of which there is a copy."""
        entry = self._entries.get(key)
        # It is as long as its copy, by its form: what a copy starts with is all of it.
        if entry is None or entry.copy is None or not entry.copy.startswith(content):  # type: ignore[arg-type]
            return None
        self._asked += 1
        if self._asked - entry.seen > len(self._entries):
            entry.seen = self._asked
        return entry.digest

    def comes_again(self, key: Key, n: int) -> bool:
        """Say whether a content with this key came before, and its copy of ``n`` bytes has room."""
        return key in self._entries and self._makes_room(n)

    def note(self, key: Key, digest: bytes, copy: bytes | None) -> None:
        """Note the digest of a content; keep its copy if the same content came before."""
        with self._lock():
            before = self._entries.pop(key, None)
            if before is not None and before.copy is not None:
                self._bytes -= len(before.copy)
            if before is None or before.digest != digest:
                copy = None
            self._asked += 1
            self._entries[key] = _Entry(digest, copy, self._asked)
            self._bytes += 0 if copy is None else len(copy)
            while len(self._entries) > _MOST or self._bytes > self._most_bytes:
                self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock():
            self._entries.clear()
            self._bytes = 0

    def _makes_room(self, n: int) -> bool:
        """Say whether a copy fits, at the cost of one that nobody has asked for lately."""
        if self._bytes + n <= self._most_bytes:
            return True
        with self._lock():
            oldest = next(iter(self._entries), None)
            if oldest is None or n > self._most_bytes:
                return False
            entry = self._entries[oldest]
            if self._asked - entry.seen > _UNUSED * len(self._entries):
                self._drop(oldest)
            else:
                self._entries[oldest] = self._entries.pop(oldest)  # another is looked at next
            return self._bytes + n <= self._most_bytes

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key)
        self._bytes -= 0 if entry.copy is None else len(entry.copy)


copies = Copies(MOST_BYTES)
keep(f"{__name__}.copies", "contents that came twice", clear=copies.clear, size=copies.__len__)
