"""Samples whose rows different threads wait for → batches of them, and each one's own row."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backbones import Backbone
from ._batches import batches
from ._reading import Reading
from ._runner import Runner, Underway
from ._steady import check_steady

Rows = NDArray[np.float32]


class _Thread(threading.local):
    is_inside = False


_thread = _Thread()


def forward(runner: Runner, reading: Reading, samples: Sequence[Any]) -> Underway:
    """Send one batch of samples through a network."""
    outer, _thread.is_inside = _thread.is_inside, True
    try:
        return reading.rows(runner, samples)
    finally:
        _thread.is_inside = outer


def is_inside() -> bool:
    """Tell whether this thread is in the midst of a forward, as where a network asks for rows."""
    return _thread.is_inside


def _held() -> Any:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(eq=False)
class Wish:
    """One sample whose row a thread waits for.

    Parameters
    ----------
    runner, reading, backbone, batch_size
        As in `embed`.
    sample : object
        Prepared.
    """

    runner: Runner
    reading: Reading
    backbone: Backbone
    batch_size: int | str
    sample: Any
    _rows: Rows | None = None
    _came: Any = field(default_factory=_held)
    _is_over: bool = False

    def is_like(self, other: Wish) -> bool:
        """Tell whether both may share a batch, as far as lengths allow it."""
        ours, theirs = self.reading, other.reading
        return (
            ours.recipe == theirs.recipe
            and ours.outputs == theirs.outputs
            and type(self.runner) is type(other.runner)
            and self.batch_size == other.batch_size
        )

    def give(self, rows: Rows | None) -> None:
        """Let the one who waits go on, with his row or without; only the first time counts."""
        if not self._is_over:
            self._rows, self._is_over = rows, True
            self._came.release()

    def wait(self, seconds: float) -> None:
        """Wait until it is over, no longer than that."""
        # A lock, since an interrupt may leave a future or a condition in no usable state.
        self._came.acquire(timeout=seconds)

    @property
    def came(self) -> bool:
        """Whether the row is there."""
        return self._rows is not None

    def here(self) -> Rows:
        """Return the row."""
        assert self._rows is not None
        return self._rows


def cut(wishes: Sequence[Wish]) -> Iterator[list[Wish]]:
    """Yield those that share a batch, of samples of one kind."""
    if wishes:
        first, samples = wishes[0], [wish.sample for wish in wishes]
        runner, how = first.runner, (first.backbone, first.batch_size, first.runner.device)
        for batch in batches(samples, *how, even=runner.even):
            yield [wishes[i] for i in batch]


def grant(wishes: Sequence[Wish]) -> None:
    """Send a batch through its network and give everybody his row, but none that is not finite."""
    runner, samples = wishes[0].runner, [wish.sample for wish in wishes]
    reading = replace(wishes[0].reading)
    outer, _thread.is_inside = _thread.is_inside, True
    try:
        # Not by the reading, which would try again: that is for each one who waits to do.
        rows = runner.rows(samples, reading.outputs).here()
        if rows.ndim != 2 or len(rows) != len(samples):  # noqa: PLR2004
            raise ValueError(f"{runner.name} gives {rows.shape} for {len(samples)} items")
        if len(samples) > 1:
            check_steady(runner, reading, samples, lambda: rows)
    finally:
        _thread.is_inside = outer
    for wish, row in zip(wishes, rows, strict=True):
        wish.runner.note(reading.outputs)
        wish.give(row[None].copy() if np.isfinite(row).all() else None)
