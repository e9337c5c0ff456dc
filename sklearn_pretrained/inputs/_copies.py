"""Contents that came twice → a copy of each, with which those that come again are compared.

To compare with a copy takes the time of reading both, a fraction of that of any hash, and cannot be
deceived. A few bytes of a content say which copy it may be equal to; of an array that came before,
so does the object itself.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    form: tuple[Any, ...]
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
        # By the object, which need not be what it was: its content decides.
        self._likely: dict[int, _Entry] = {}
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
        copy = None if entry is None else entry.copy
        # It is as long as its copy, by its form: what a copy starts with is all of it.
        if entry is None or copy is None or not copy.startswith(content):  # type: ignore[arg-type]
            return None
        self._note(entry)
        if type(content) is np.ndarray:
            if len(self._likely) >= _MOST:
                self._likely.clear()
            self._likely[id(content)] = entry
        return entry.digest

    def find_all(self, contents: Sequence[Any], kind: str) -> list[bytes | None]:
        """Return the digests of those arrays that are equal to their copies of before.

        Parameters
        ----------
        contents : sequence
            Of anything.
        kind : str
            What arrays mean.
        """
        found: list[bytes | None] = []
        likely = self._likely
        for content in contents:
            entry = likely.get(id(content))
            copy = None if entry is None else entry.copy
            if (
                entry is None
                or copy is None
                or type(content) is not np.ndarray
                or entry.form != (kind, content.dtype, content.shape)
                or not content.flags.c_contiguous
                or not copy.startswith(content)  # type: ignore[arg-type]
            ):
                found.append(None)
                continue
            self._note(entry)
            found.append(entry.digest)
        return found

    def _note(self, entry: _Entry) -> None:
        """Note that a copy was asked for."""
        self._asked += 1
        if self._asked - entry.seen > len(self._entries):
            entry.seen = self._asked

    def comes_again(self, key: Key, n: int) -> bool:
        """Say whether a content with this key came before, and its copy of ``n`` bytes has room."""
        return key in self._entries and self._makes_room(n)

    def note(self, key: Key, digest: bytes, copy: bytes | None) -> None:
        """Note the digest of a content; keep its copy if the same content came before."""
        with self._lock():
            before = self._entries.pop(key, None)
            if before is not None:
                self._let_go(before)
            if before is None or before.digest != digest:
                copy = None
            self._asked += 1
            self._entries[key] = _Entry(key[0], digest, copy, self._asked)
            self._bytes += 0 if copy is None else len(copy)
            while len(self._entries) > _MOST or self._bytes > self._most_bytes:
                self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock():
            for key in [*self._entries]:
                self._drop(key)
            self._likely.clear()

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
        self._let_go(self._entries.pop(key))

    def _let_go(self, entry: _Entry) -> None:
        """Free a copy, whoever else refers to what there was of it."""
        self._bytes -= 0 if entry.copy is None else len(entry.copy)
        entry.copy = None


copies = Copies(MOST_BYTES)
keep(f"{__name__}.copies", "contents that came twice", clear=copies.clear, size=copies.__len__)
