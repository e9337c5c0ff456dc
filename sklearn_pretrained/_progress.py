"""Rows done → a line that says what is to come, and a bar with rate and time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Self


class Progress:
    """A forecast and a progress bar over the rows that must be computed, or nothing at all.

    Parameters
    ----------
    shown : bool
        Whether anything is shown.
    name : str
        What stands before it.
    """

    def __init__(self, *, shown: bool, name: str) -> None:
        self._shown, self._name = shown, name
        self._bar: Any = None

    def forecast(self, asked: int, known: int, missing: int) -> None:
        """Tell what is to be done before it begins."""
        if not self._shown:
            return
        from tqdm import tqdm

        tqdm.write(
            f"{self._name}: {asked:,} rows asked, {known:,} known, {missing:,} to compute",
            file=sys.stderr,
        )
        if missing:
            self._bar = tqdm(total=missing, desc=self._name, unit="row")

    def waiting(self, rows: int) -> None:
        """Tell that rows are waited for, which others compute."""
        if self._shown:
            from tqdm import tqdm

            said = f"{self._name}: waiting for {rows:,} rows that others compute"
            tqdm.write(said, file=sys.stderr)

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
            if kind is None:  # other processes computed what is left
                self._bar.update(self._bar.total - self._bar.n)
            self._bar.close()
