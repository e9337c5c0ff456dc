"""Rows done, known or computed → a bar with rate and time left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self


class Bar:
    """A progress bar over all rows, or nothing.

    Parameters
    ----------
    name : str
    count : callable
        Counts all rows; called where the bar is shown.
    shown : bool
    """

    def __init__(self, name: str, count: Callable[[], int], *, shown: bool) -> None:
        self._bar: Any = None
        self._base = self._done = 0
        if shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=count(), desc=name, unit="row")

    def add(self, n: int) -> None:
        """Count rows that are done."""
        self._done += n
        if self._bar is not None:
            self._bar.update(n)

    def at_least(self, n: int) -> None:
        """Count rows of this file that were known, of which nobody told."""
        self.add(max(0, self._base + n - self._done))

    def next(self, n: int) -> None:
        """Begin another file, behind n rows of this one."""
        self._base += n

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
