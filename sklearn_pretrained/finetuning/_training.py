"""A tail, its activations and targets → the epoch whose numbers did best on the rows held out.

The loop is written by hand. skorch's judges a network only after its first epoch, and takes rows
and targets as tensors: here epoch 0 is the frozen probe, pairs are drawn while training, rows come
out of a cache, and what is kept are the changed tensors alone. accelerate spreads a loop over
devices, and the tail of a network fits on one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..reporting import bars
from ..tails import Tail
from ._activations import Activations
from ._network import in_parts, run

Indices = NDArray[np.intp]
Step = Callable[[Indices], Tensor]
"""Rows → what they cost, with gradients."""
_NEAR = 8
_WARM_UP = 0.2
_LOWEST = 0.8
"""Rate of the lowest parameter that is trained, as a share of that of the highest."""
_NORMS_OF_ROWS = ("LayerNorm", "RMSNorm", "GroupNorm", "LayerNorm2d")
RATES = {"norm of each row": 5e-5, "other": 1e-3}


@dataclass(frozen=True)
class Settings:
    """How long, and how fast.

    Parameters
    ----------
    epochs, batch_size, patience
        Most epochs, rows in a step, and epochs without a better one after which it ends.
    learning_rate : float or "auto"
    weight_decay : float
    least_steps : int
        Steps in an epoch of few rows, which are then gone through more than once.
    """

    epochs: int
    batch_size: int
    patience: int | None
    learning_rate: float | str
    weight_decay: float
    least_steps: int = 1


@dataclass
class Course:
    """What happened: one record an epoch, and the best epoch's numbers."""

    history: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    rank: tuple[float, float] = (-math.inf, -math.inf)
    numbers: list[Tensor] = field(default_factory=list)


class Training:
    """Trains a tail, and perhaps a head behind it.

    Parameters
    ----------
    tail : Tail
    activations : Activations
    head : nn.Linear or None
    settings : Settings
    random : RandomState
    """

    def __init__(
        self,
        tail: Tail,
        activations: Activations,
        head: nn.Linear | None,
        settings: Settings,
        random: np.random.RandomState,
    ) -> None:
        self.tail, self.activations, self.head = tail, activations, head
        self.settings, self._random = settings, random
        self.learning = [*tail.parameters().values(), *(head.parameters() if head else ())]

    def given(self, rows: Indices) -> Tensor:
        """Run the tail over some rows."""
        return run(self.tail, *self.activations.take(rows))

    def features(self, rows: Indices) -> NDArray[np.float32]:
        """Compute tuned features, without gradients."""
        lengths = self.activations.lengths
        # Rows of like length together, so that little is padded.
        order = np.arange(len(rows)) if lengths is None else np.argsort(lengths[rows])
        return in_parts(order, lambda some: self.given(rows[some]))

    def run(
        self,
        rows: Indices,
        step: Step,
        judge: Callable[[], dict[str, float]] | None,
        course: Course,
        *,
        epochs: int | None = None,
        shown: bool = False,
    ) -> None:
        """Train, and write down what happens.

        Parameters
        ----------
        rows : ndarray of int
            What is trained on.
        step : callable
            What some of them cost.
        judge : callable or None
            Scores the network as it is, on the rows held out. The lowest ``"held_out_loss"``
            decides, since it tells more of few rows than a share of right labels, and the highest
            ``"score"`` where there is no loss. Without a judge the last epoch is the best.
        course : Course
            Where that is written, so that it is there after an interrupt.
        epochs : int, optional
            Ends there, with the rates that all epochs would have had.
        shown : bool
            Whether to show a progress bar.
        """
        optimizer = self._optimizer()
        n = len(rows) * self._rounds(len(rows))
        pace = _Pace(optimizer, self.settings.epochs * -(-n // self.settings.batch_size))
        self._note(course, judge, loss=float("nan"), seconds=0.0)
        for parameter in self.learning:
            parameter.requires_grad_(True)
        try:
            for epoch in _shown(range(1, (epochs or self.settings.epochs) + 1), shown):
                started, total = time.perf_counter(), 0.0
                for batch in self._batches(rows):
                    pace.step()
                    optimizer.zero_grad(set_to_none=True)
                    cost = step(batch)
                    cost.backward()
                    optimizer.step()
                    total += float(cost.detach()) * len(batch)
                took = time.perf_counter() - started
                self._note(course, judge, loss=total / n, seconds=took)
                if self.settings.patience and epoch - course.best >= self.settings.patience:
                    break
        finally:
            for parameter in self.learning:
                parameter.requires_grad_(False)
            if course.numbers:
                self._take(course.numbers)

    def _note(
        self, course: Course, judge: Callable[[], dict[str, float]] | None, **record: float
    ) -> None:
        """Write an epoch down; keep its numbers where it is the best so far."""
        found = {} if judge is None else judge()
        epoch = len(course.history)
        course.history.append({"epoch": epoch, **record, **found})
        score = found.get("score", float(epoch))
        rank = (-found.get("held_out_loss", -score), score)
        if rank > course.rank:
            course.rank, course.best = rank, epoch
            course.numbers = [parameter.detach().clone() for parameter in self.learning]

    def _take(self, numbers: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, then in zip(self.learning, numbers, strict=True):
                parameter.copy_(then)

    def _batches(self, rows: Indices) -> Iterator[Indices]:
        size, rounds = self.settings.batch_size, self._rounds(len(rows))
        mixed = np.concatenate([self._random.permutation(rows) for _ in range(rounds)])
        lengths = self.activations.lengths
        if lengths is not None:
            # Rows of like length together, as far as chance laid them near each other.
            near = [mixed[i : i + _NEAR * size] for i in range(0, len(mixed), _NEAR * size)]
            mixed = np.concatenate([part[np.argsort(lengths[part])] for part in near])
        batches = [mixed[start : start + size] for start in range(0, len(mixed), size)]
        order = range(len(batches)) if lengths is None else self._random.permutation(len(batches))
        for i in order:
            yield batches[i]

    def _rounds(self, n: int) -> int:
        least = (self.settings.least_steps - 1) * self.settings.batch_size
        return max(1, -(-least // n))

    def _optimizer(self) -> torch.optim.Optimizer:
        """Give each parameter its rate: the lower it lies, the more it knows already."""
        rate = self.settings.learning_rate
        top = automatic_rate(self.tail) if rate == "auto" else float(rate)
        of_head = max(top, RATES["other"]) if rate == "auto" else top
        inner = list(self.tail.parameters().values())
        groups = [
            {"params": [p], "lr": top * _LOWEST ** (1 - i / max(1, len(inner) - 1))}
            for i, p in enumerate(inner)
        ]
        if self.head is not None:
            groups.append({"params": list(self.head.parameters()), "lr": of_head})
        is_fused = self.learning[0].device.type in {"cpu", "cuda"}
        return torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay, fused=is_fused)


def automatic_rate(tail: Tail) -> float:
    """Choose by what normalises: networks that norm each row alone are hurt by high rates."""
    named = (name.rpartition(".")[0] for name in tail.trained)
    kinds = {type(tail.network.get_submodule(name)).__name__ for name in named}
    by_row = any(kind.endswith(_NORMS_OF_ROWS) for kind in kinds)
    return RATES["norm of each row" if by_row else "other"]


class _Pace:
    """Rates that rise at first, and then sink to nothing along a cosine."""

    def __init__(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        self._optimizer, self._steps, self._done = optimizer, steps, 0
        self._rates = [group["lr"] for group in optimizer.param_groups]

    def step(self) -> None:
        """Set the next step's rates."""
        rising = max(1.0, _WARM_UP * self._steps)
        falling = max(1.0, self._steps - rising)
        self._done += 1
        if self._done <= rising:
            share = self._done / rising
        else:
            share = 0.5 * (1 + math.cos(math.pi * min(1.0, (self._done - rising) / falling)))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share


def _shown(epochs: range, shown: bool) -> Any:  # noqa: FBT001
    if not shown:
        return epochs
    return bars()(epochs, desc="training", unit="epoch")
