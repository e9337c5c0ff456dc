"""What was read of a window's items, until it is needed again: bounded, and by position."""

from __future__ import annotations

from typing import Any

MOST_BYTES = 256 << 20
"""A window of a thousand photographs; what is larger is read twice."""


class Held:
    """Few things, each taken out once; what does not fit is not held, and read again."""

    def __init__(self) -> None:
        self._size = 0
        self._things: dict[int, tuple[Any, int]] = {}

    def put(self, i: int, thing: Any, size: int) -> None:
        """Hold what was read of item ``i``, which takes that many bytes."""
        if self._size + size <= MOST_BYTES:
            self._things[i] = (thing, size)
            self._size += size

    def take(self, i: int) -> Any:
        """Give what is held of item ``i`` out of hands; None where nothing is."""
        thing, size = self._things.pop(i, (None, 0))
        self._size -= size
        return thing

    def clear(self) -> None:
        """Hold nothing."""
        self._things.clear()
        self._size = 0
