"""A loaded network → its rows by OpenVINO, where they are proved to be those of torch."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...backbones import Backbone, hooks_for_all
from ...process import in_children, keep
from ...taps import on_cpu_by_default, without_autocast
from .._distance import distance
from .._runner import Outputs, Runner, Underway
from ..eager import EagerRunner, LoadedNetwork
from ._graph import Graph

Rows = NDArray[np.float32]
_PROOFS = 2
"""Batches that both compute before OpenVINO computes alone; one, where it was proved before."""
_ROUNDS = 3
_ENOUGH = 512
"""Items from which on a race may pay for the seconds that a graph takes to be made."""
_FASTER = 1.05


@dataclass(eq=False)
class _Trial:
    """What is known of OpenVINO for one network and what is read of it.

    Parameters
    ----------
    graph : Graph or None
        Once it is made.
    traced : int
        Items over which it was made.
    proved : list of int
        The sizes of batches whose rows were those of torch.
    won : bool or None
        Whether it computes alone; None as long as that is open.
    why : str
        Why it does not.
    """

    graph: Graph | None = None
    traced: int = 0
    proved: list[int] = field(default_factory=list)
    won: bool | None = None
    why: str = ""
    lock: Any = field(default_factory=threading.Lock)


_Trials = dict[tuple[Hashable, frozenset[Any]], _Trial]
_trials: weakref.WeakKeyDictionary[LoadedNetwork, _Trials] = weakref.WeakKeyDictionary()
keep(f"{__name__}._trials", "graphs of OpenVINO", clear=_trials.clear, size=_trials.__len__)
_of_parents: list[Any] = []
"""Graphs of a parent, held in the child: to end them would wait for threads that it has not."""
_has_threads = _is_of_parent = False
"""Whether OpenVINO has threads here, and whether it had them in the parent, whose child has not."""


@dataclass
class _Here:
    """Rows that are there."""

    rows: Rows

    def here(self) -> Rows:
        """Give them."""
        return self.rows


class OpenVINORunner(Runner):
    """One network on processors, computed by OpenVINO or, where that fails, by torch.

    Parameters
    ----------
    backbone : Backbone
    network : LoadedNetwork
    races : bool
        Whether torch goes on computing where it is as fast.
    """

    def __init__(self, backbone: Backbone, network: LoadedNetwork, *, races: bool) -> None:
        self._torch = EagerRunner(backbone, network)
        super().__init__(
            backbone.name, self._torch.device, self._torch.precision, past=network.past
        )
        self._backbone, self._races = backbone, races
        self._trials = _trials.setdefault(network, {})
        self._threads = torch.get_num_threads()
        self._asked: list[_Trial] = []

    @property
    def engine(self) -> str:
        """What computes what this runner was asked for."""
        return "openvino" if any(trial.won for trial in self._asked) else "torch"

    @property
    def refused(self) -> str:
        """Why OpenVINO does not compute it."""
        return next((trial.why for trial in self._asked if trial.why), "")

    @property
    def even(self) -> bool:
        """Whether padding would show."""
        return self._torch.even

    @property
    def in_streams(self) -> bool:
        """Whether several batches at the same time, on a thread each, are best."""
        return self._torch.in_streams

    def expect(self, n: int) -> None:
        """Learn that ``n`` items are coming; torch is made fast where it may compute them."""
        if self._races or self._is_refused:
            self._torch.expect(n)
        else:
            super().expect(n)

    def make_fast(self) -> None:
        """Make the network fast in torch, where that may compute."""
        if self._races or self._is_refused:
            self._torch.make_fast()

    @property
    def _is_refused(self) -> bool:
        return any(trial.why for trial in [*self._trials.values()])

    def blame(self, samples: Sequence[Any], i: int, *, by_chance: bool) -> str:
        """Name the submodule in which the rows of sample ``i`` begin to differ."""
        return self._torch.blame(samples, i, by_chance=by_chance)

    def rows(self, samples: Sequence[Any], outputs: Outputs) -> Underway:
        """Send one batch through the network; several views of it are averaged."""
        trial = self._trial(outputs)
        if not trial.why and not all(isinstance(sample, torch.Tensor) for sample in samples):
            # A graph may hold for the lengths alone that it was traced over.
            self._lose(trial, "it computes items of one shape alone, and texts have many")
        if not trial.why and hooks_for_all():
            self._lose(trial, "its graph calls no hooks, and some are on every module")
        may = self._may()
        graph = trial.graph
        if trial.won and may and graph is not None:
            try:
                return _Here(self._computed(graph, samples, outputs))
            except Exception as error:
                self._lose(trial, f"it failed: {error}")
        if trial.won is not None or not may or not trial.lock.acquire(blocking=False):
            return self._torch.rows(samples, outputs)
        try:
            return _Here(self._tried(trial, samples, outputs))
        finally:
            trial.lock.release()

    def note(self, outputs: Outputs) -> None:
        """Learn that these outputs were read, if only by another runner of the network."""
        self._trial(outputs)

    def _trial(self, outputs: Outputs) -> _Trial:
        what = self._backbone.scaling, frozenset(outputs)  # which its graph holds
        trial = self._trials.setdefault(what, _Trial())
        if trial not in self._asked:
            self._asked.append(trial)
        return trial

    def _may(self) -> bool:
        waits = self._races and self.past.expected < _ENOUGH
        return not (waits or _is_of_parent)

    def _computed(self, graph: Graph, samples: Sequence[Any], outputs: Outputs) -> Rows:
        with without_autocast(), on_cpu_by_default():
            batch = self._batch(samples)
            rows = [graph.rows(view, outputs) for view in self._backbone.views(batch)]
        found = rows[0] if len(rows) == 1 else np.mean(rows, axis=0)
        if len(found) != len(samples):
            raise ValueError(f"it gives {len(found)} rows for {len(samples)} items")
        return found

    def _batch(self, samples: Sequence[Any]) -> Any:
        raw = self._backbone.raw(samples)
        return self._backbone.collate(samples, self.device, torch.float32) if raw is None else raw

    def _made(self, samples: Sequence[Any], outputs: Outputs) -> Graph:
        """Make a graph, traced over some items."""
        global _has_threads  # noqa: PLW0603  a child that is forked later must know
        _has_threads = True
        # What is made in the caller's inference mode tells nobody that it is written into.
        not_inferring = torch.inference_mode(mode=False)
        with without_autocast(), on_cpu_by_default(), not_inferring, torch.no_grad():
            samples = [sample.clone() for sample in samples]
            batch = self._batch(samples)
            view = self._backbone.views(batch)[0]
            read = list(dict.fromkeys(outputs))
            return Graph(self._backbone, read, view, threads=self._threads)

    def _tried(self, trial: _Trial, samples: Sequence[Any], outputs: Outputs) -> Rows:
        """Compute a batch twice, and compare; the rows of torch are given."""
        expected = self._torch.rows(samples, outputs).here()
        for _ in range(2):
            why = self._disproved(trial, samples, outputs, expected)
            if not why or trial.graph is None or not trial.graph.was_wrong():
                break
            trial.graph = None  # and another is made
            trial.proved.clear()
        if why:
            self._lose(trial, why)
            return expected
        trial.proved.append(len(samples))
        assert trial.graph is not None
        # A race takes a batch of the usual size.
        enough = 1 if not self._races and trial.graph.was_proved else _PROOFS
        if len(trial.proved) >= enough and {*trial.proved} != {trial.traced}:
            if len(trial.proved) >= _PROOFS:
                trial.graph.is_right()
            self._decide(trial, trial.graph, samples, outputs)
        return expected

    def _disproved(
        self, trial: _Trial, samples: Sequence[Any], outputs: Outputs, expected: Rows
    ) -> str:
        """Say why a graph does not give the rows of torch; "" where it does."""
        try:
            if trial.graph is None:
                # Over another number than comes, so that a graph which holds for no other shows.
                some = [samples[0], samples[-1], samples[0]][: 3 if len(samples) == 2 else 2]  # noqa: PLR2004
                trial.graph, trial.traced = self._made(some, outputs), len(some)
            got = self._computed(trial.graph, samples, outputs)
        except Exception as error:
            return f"it cannot run it: {type(error).__name__}: {error}"
        far = _farthest(got, expected, outputs)
        return "" if far <= self.precision.kernel else f"its rows differ by {far:.1e} of their norm"

    def _decide(
        self, trial: _Trial, graph: Graph, samples: Sequence[Any], outputs: Outputs
    ) -> None:
        if self._races:
            mine = _seconds(lambda: self._computed(graph, samples, outputs))
            torchs = _seconds(lambda: self._torch.rows(samples, outputs).here())
            if torchs < _FASTER * mine:
                trial.won, trial.graph = False, None
                return
        trial.won = True

    def _lose(self, trial: _Trial, why: str) -> None:
        trial.won, trial.graph, trial.why = False, None, why.partition("\n")[0].rstrip(". ")
        self._torch.expect(0)


def _farthest(got: Rows, expected: Rows, outputs: Outputs) -> float:
    """Return how far the rows of any item and output lie from those of torch."""
    if got.shape != expected.shape:
        return float("inf")
    farthest, start = 0.0, 0
    for layer, pooling in outputs:
        part = slice(start, start + layer.width(pooling))
        start = part.stop
        for one, other in zip(got[:, part], expected[:, part], strict=True):
            farthest = max(farthest, distance(torch.from_numpy(one), torch.from_numpy(other)))
    return farthest


def _seconds(work: Callable[[], object]) -> float:
    """Return the shortest time of a few runs."""
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


@in_children
def _forget() -> None:
    """Compute by torch in a child that was forked from OpenVINO's threads, which it has not."""
    global _is_of_parent  # noqa: PLW0603  one for the process
    _is_of_parent = _is_of_parent or _has_threads
    _of_parents.extend(_trials.values())
    _trials.clear()
