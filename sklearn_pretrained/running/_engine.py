"""Items → rows: batches, devices in turn, and backing off when memory runs out."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..backbones import Backbone
from ..exceptions import BadItemError, LayerError
from ..process import warn
from ._batches import batches
from ._prepare import OnBad, prepared, windows
from ._reading import Reading, is_out_of_memory, joined, width_of
from ._runner import Runner, Underway
from ._steady import check_steady
from ._streams import Streams
from ._together import together
from ._wishes import Wish, forward

Finished = list[tuple[list[int], NDArray[np.float32]]]


def _halving(
    samples: Sequence[Any], run: Callable[[Sequence[Any]], Underway], runner: Runner
) -> list[Underway]:
    """Run a batch; where memory runs out, run its halves, and remember what fits."""
    most = runner.past.room.most or len(samples)
    if len(samples) > most:
        parts = [samples[i : i + most] for i in range(0, len(samples), most)]
        return [rows for part in parts for rows in _halving(part, run, runner)]
    try:
        rows = [run(samples)]
    except Exception as error:
        if not is_out_of_memory(error) or len(samples) == 1:
            raise
    else:
        runner.past.room.fitted(len(samples))
        return rows
    if runner.device.type == "cuda":
        torch.cuda.empty_cache()
    if runner.past.room.ran_out(len(samples)):
        warn(
            f"Out of memory with a batch of {len(samples)}; smaller batches are used.",
            RuntimeWarning,
        )
    return _halving(samples, run, runner)


def embed_one(
    items: Any,
    position: int,
    *,
    backbone: Backbone,
    runner: Runner,
    reading: Reading,
    on_bad: OnBad,
    on_batch: Callable[[int], None],
    batch_size: int | str = "auto",
) -> Finished:
    """Send one item through a network: the shortest way to its row.

    Where other threads do the same, and the reading says of what recipe it is, what comes while
    they compute is computed together.

    Parameters
    ----------
    items : Items
    position : int
        Which of them.
    backbone, runner, reading
        What prepares, what computes, and what is read.
    on_bad, on_batch, batch_size
        As in `embed`.

    Returns
    -------
    list of (positions, rows)
        What `embed` yields: one pair, or none where the item gives no row.
    """
    runner.expect(1)
    good, samples = prepared(items, (position,), backbone, on_bad)
    if not good:
        return []
    alone = functools.partial(
        _halving, samples, functools.partial(forward, runner, reading), runner
    )
    wish = Wish(runner, reading, backbone, batch_size, samples[0])
    rows = together(runner.past).rows(wish, alone)
    check_steady(runner, reading, samples, functools.partial(joined, rows))
    found = _Judge(backbone.name, reading, on_bad).sort(good, rows)
    on_batch(1)
    return found


def embed(
    items: Any,
    positions: Sequence[int],
    *,
    backbone: Backbone,
    runners: Sequence[Runner],
    reading: Reading,
    batch_size: int | str,
    on_bad: OnBad,
    on_batch: Callable[[int], None],
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Send items through a network, window by window, so that memory stays bounded.

    A GPU is given its next batch before the rows of the last one are waited for.

    Parameters
    ----------
    items : Items
    positions : sequence of int
        Which of them.
    backbone, runners, reading
        What prepares, what computes on each device, and what is read. Batches go to the devices
        in turn.
    batch_size : int or "auto"
        Most items in one forward.
    on_bad : callable
        Told position and error of an item that cannot be read, which then gives no row.
    on_batch : callable
        Told how many items are done, after each batch.

    Yields
    ------
    positions, rows
        In batches, in an order of the network's choosing. Rows hold every output, or end behind
        those that are asked where an item gives no finite numbers for the others.
    """
    if len(positions) == 1 and len(runners) == 1:
        yield from embed_one(
            items,
            positions[0],
            backbone=backbone,
            runner=runners[0],
            reading=reading,
            on_bad=on_bad,
            on_batch=on_batch,
            batch_size=batch_size,
        )
        return
    for runner in runners:
        runner.expect(len(positions))
    even = any(runner.even for runner in runners)

    judge = _Judge(backbone.name, reading, on_bad)

    def finish(where: list[int], batch: list[Underway]) -> Finished:
        rows = judge.sort(where, batch)
        on_batch(len(where))
        return rows

    turns = itertools.cycle(runners)
    underway: deque[tuple[list[int], list[Underway]]] = deque()
    with Streams(runners, len(positions)) as streams:
        for good, samples in windows(
            items,
            positions,
            backbone,
            batch_size,
            on_bad,
            threads=streams.feeders,
            parts=streams.count,
        ):
            cut = batches(
                samples,
                backbone,
                batch_size,
                runners[0].device,
                even=even,
                parts=streams.count,
            )
            for batch in cut:
                runner, chosen = next(turns), [samples[i] for i in batch]
                again = functools.partial(
                    _halving, chosen, functools.partial(forward, runner, reading), runner
                )
                if runner.past.room.holds(len(chosen)):
                    once = functools.partial(forward, runner, reading, chosen)
                    rows = streams.send(once, again, len(cut))
                else:
                    rows = again()
                check_steady(runner, reading, chosen, functools.partial(joined, rows))
                underway.append(([good[i] for i in batch], rows))
                if len(underway) > streams.most_underway:
                    yield from finish(*underway.popleft())
        while underway:
            yield from finish(*underway.popleft())


class _Judge:
    """Tells rows that hold every output from those that hold what is asked, and from bad ones."""

    def __init__(self, name: str, reading: Reading, on_bad: OnBad) -> None:
        self._name, self._reading, self._on_bad = name, reading, on_bad
        self._full, self._needed = width_of(reading.outputs), reading.needed

    def sort(self, where: list[int], parts: list[Underway]) -> Finished:
        """Return positions and rows, as wide as they can be."""
        rows = joined(parts)
        narrowest = rows.shape[1]
        if len(rows) != len(where):
            raise LayerError(
                f"{self._name} returns {len(rows)} rows for {len(where)} items; the first axis of "
                "its output must be the batch."
            )
        finite = np.isfinite(rows)
        if narrowest == self._full and finite.all():
            return [(where, rows)]
        good = finite[:, : self._needed].all(axis=1)
        whole = finite.all(axis=1) & (narrowest == self._full)
        for k in np.flatnonzero(~good):
            self._on_bad(where[k], BadItemError(_not_finite(rows[k], self._reading)))
        return [
            ([p for p, ok in zip(where, chosen, strict=True) if ok], rows[chosen, :width])
            for chosen, width in ((whole, self._full), (good & ~whole, self._needed))
            if chosen.any()
        ]


def _not_finite(row: NDArray[np.float32], reading: Reading) -> str:
    for layer, _, part in reading.parts(row):
        if not np.isfinite(part).all():
            return f"made the network return NaN or infinity at layer {layer.name!r}"
    return "made the network return NaN or infinity"
