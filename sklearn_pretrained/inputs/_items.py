"""What every kind of item offers to the stations behind."""

from __future__ import annotations

from typing import Any, Protocol


class Items(Protocol):
    """The items of one X, in its order.

    `digest` and `load` raise `BadItemError` for an item that cannot be read.

    Attributes
    ----------
    at_once : int
        Items in one window: all of it is digested before any of it is loaded.
    """

    at_once: int

    def __len__(self) -> int: ...

    def digest(self, i: int) -> bytes:
        """Return 16 bytes that stand for the item's content."""

    def load(self, i: int) -> Any:
        """Return the item's content, in the one form that backbones read."""

    def let_go(self) -> None:
        """Forget what is held of a window, which is over."""

    def name(self, i: int) -> str:
        """Say which item of X this is, such as "Item 17 of X ('cat.jpg')"."""
