"""Items that cannot be read → an error that names the first, or a list of them and one warning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..exceptions import BadItemError, BadItemWarning, TruncationWarning
from ..process import warn
from ._arrays import OutsideRangeError
from ._items import Items


class BadItems:
    """Collects the items of one X that cannot be read.

    Parameters
    ----------
    items : Items
    raises : bool
        Whether the first of them is an error.
    """

    def __init__(self, items: Items, *, raises: bool) -> None:
        self._items = items
        self._raises = raises
        self._found: dict[int, str] = {}
        self._errors: dict[bytes, BadItemError] = {}
        # Of the items from `_start` on that are not settled yet.
        self._digests: list[bytes | None] = []
        self._start = 0

    def add(self, i: int, error: BadItemError) -> None:
        """Note that item ``i`` cannot be read."""
        message = f"{self._items.name(i)} {error}"
        if self._raises:
            # Where all items are alike, there is something else to do first.
            remove = "Otherwise, remove it" if isinstance(error, OutsideRangeError) else "Remove it"
            raise BadItemError(
                f"{message}. {remove}, or pass on_error='nan' to get a row of NaN for it."
            ) from error.__cause__  # the error itself says no more than this one
        self._found[i] = message
        k = i - self._start
        digest = self._digests[k] if k < len(self._digests) else None
        if digest is not None:
            self._errors[digest] = error

    def digests(self, window: range) -> list[bytes | None]:
        """Return the digest of each of the next items, None for those that cannot be read."""
        # Items of somebody else's kind have the methods that each needs.
        known = getattr(self._items, "known", None)
        found: list[bytes | None] = [None] * len(window) if known is None else [*known(window)]
        for k, i in enumerate(window):
            if found[k] is None:
                try:
                    found[k] = self._items.digest(i)
                except BadItemError as error:
                    self.add(i, error)
        self._digests += found
        return self._digests[window.start - self._start :]

    def readable(self) -> Iterator[tuple[bytes, Any]]:
        """Yield digest and content of each item that could be read and is not settled."""
        for i, digest in enumerate(self._digests, self._start):
            if digest is not None and i not in self._found and digest not in self._errors:
                yield digest, self._items.load(i)

    def settle(self) -> dict[int, str]:
        """Forget the digests of items that are over; return what was found, in the order of X."""
        # Of equal items only the first was tried.
        for i, digest in enumerate(self._digests if self._errors else (), self._start):
            if digest is not None and digest in self._errors:
                self._found.setdefault(i, f"{self._items.name(i)} {self._errors[digest]}")
        self._start += len(self._digests)
        self._digests, self._errors = [], {}
        return dict(sorted(self._found.items()))

    def report(self) -> dict[int, str]:
        """Return what was found, in the order of X, and warn of it once."""
        found = self.settle()
        if found:
            warn(
                f"{len(found)} items of X could not be read, and their rows are NaN; see the "
                f"attribute bad_items_. The first: {next(iter(found.values()))}. If the next "
                "estimator does not accept NaN, remove these rows from X and y, or impute them.",
                BadItemWarning,
            )
        return found


def warn_of_cut(n: int, most: int) -> None:
    """Say that texts were cut, and what to do about it."""
    warn(
        f"{n} texts were longer than {most} tokens and were cut. Pass a larger max_length where "
        "the network allows it, or truncation='cut' to silence this warning.",
        TruncationWarning,
    )
