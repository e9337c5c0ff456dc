"""Rows done → a line that says what is to come, and a bar with rate and time left.

Both only where there is something to compute: a search whose rows are known stays silent.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any


def bars() -> Any:
    """Return tqdm for where this runs; in a notebook without ipywidgets, its text."""
    if find_spec("ipywidgets") is None:  # tqdm.auto would warn, and then take the text
        from tqdm.std import tqdm
    else:
        from tqdm.auto import tqdm
    return tqdm


class Progress:
    """A forecast and a progress bar, or nothing at all.

    Where all of X is looked up at once, the forecast says how many rows must be computed, and the
    bar counts them. Else it is not known before the end, and the bar counts all rows.

    Parameters
    ----------
    shown : bool
        Whether anything is shown.
    name : str
        What stands before it.
    total : int
        Rows of X.
    """

    def __init__(self, *, shown: bool, name: str, total: int) -> None:
        self._shown, self._name, self._total = shown, name, total
        self._bar: Any = None

    def forecast(self, asked: int, known: int, missing: int) -> None:
        """Tell what is to be done of a window, before it begins."""
        whole = asked == self._total
        if not self._shown or (whole and not missing):
            return
        if self._bar is None:
            more = f", {known:,} known, {missing:,} to compute" if whole else ""
            self._open(f"{self._name}: {self._total:,} rows requested{more}", missing, whole=whole)
        if not whole:
            self.add(asked - missing)

    def _open(self, said: str, missing: int, *, whole: bool) -> None:
        bars().write(said, file=sys.stderr)
        total = missing if whole else self._total
        self._bar = bars()(total=total, desc=self._name, unit="row")

    def waiting(self, rows: int) -> None:
        """Tell that rows are waited for, which others compute."""
        self.note(f"waiting for {rows:,} rows that others are computing")

    def note(self, said: str) -> None:
        """Tell something else."""
        if self._shown:
            bars().write(f"{self._name}: {said}", file=sys.stderr)

    def add(self, rows: int) -> None:
        """Count rows that are done."""
        if self._bar is not None:
            self._bar.update(rows)

    def close(self, *, complete: bool) -> None:
        """Take the bar away."""
        if self._bar is not None:
            if complete:  # other processes computed what is left
                self._bar.update(self._bar.total - self._bar.n)
            self._bar.close()
