"""What every kind of item offers to the stations behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any


class Items(ABC):
    """The items of one X, in its order.

    `digest` and `load` raise `BadItemError` for an item that cannot be read.

    Attributes
    ----------
    at_once : int
        Items in one window: all of it is digested before any of it is loaded.
    """

    at_once: int

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def digest(self, i: int) -> bytes:
        """Return 32 bytes that stand for the item's content."""

    def known(self, window: range) -> Sequence[bytes | None]:
        """Return those digests that are told sooner together; None where `digest` tells."""
        return [None] * len(window)

    def check(self, i: int) -> None:  # noqa: B027  most check what they load
        """Refuse an item that `digest` would refuse and `load` would not."""

    @abstractmethod
    def load(self, i: int) -> Any:
        """Return the item's content, in the one form that backbones read."""

    def let_go(self) -> None:  # noqa: B027  most need not
        """Forget what is held of a window, which is over; most hold nothing."""

    def name(self, i: int) -> str:
        """Say which item of X this is, such as "Item 17 of X ('cat.jpg')"."""
        return f"Item {i} of X"


class Some(Items):
    """Some items of an X, under the names that they have in it, or under others.

    Parameters
    ----------
    items : Items
    positions : sequence of int
        Which of them.
    names : sequence of str, optional
    """

    def __init__(
        self, items: Items, positions: Sequence[int], names: Sequence[str] | None = None
    ) -> None:
        self._items, self._positions, self._names = items, positions, names
        self.at_once = items.at_once

    def __len__(self) -> int:
        return len(self._positions)

    def digest(self, i: int) -> bytes:
        """Hash an item's content."""
        return self._items.digest(self._positions[i])

    def check(self, i: int) -> None:
        """Refuse an item that `digest` would refuse and `load` would not."""
        self._items.check(self._positions[i])

    def load(self, i: int) -> Any:
        """Return an item's content."""
        return self._items.load(self._positions[i])

    def let_go(self) -> None:
        """Forget what is held of a window, which is over."""
        self._items.let_go()

    def name(self, i: int) -> str:
        """Say which item."""
        return self._items.name(self._positions[i]) if self._names is None else self._names[i]
