"""Rows done → a bar with rate and time left, where the user asks for one."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self


class Progress:
    """A progress bar over rows that must be computed, or nothing at all.

    Parameters
    ----------
    total : int
        Rows asked for.
    shown : bool
        Whether there is a bar.
    name : str
        What stands before it.
    """

    def __init__(self, total: int, *, shown: bool, name: str) -> None:
        self._bar: Any = None
        if shown:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=name, unit="row")

    def add(self, rows: int) -> None:
        """Count rows that are done."""
        if self._bar is not None:
            self._bar.update(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            if kind is None:  # rows that were known already count as done
                self._bar.update(self._bar.total - self._bar.n)
            self._bar.close()
