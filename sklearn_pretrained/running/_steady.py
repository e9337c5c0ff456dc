"""A network's first batch and its rows → an error if rows depend on more than their items.

A batch norm that takes the statistics of the batch, dropout that is always on, a buffer that counts
forwards: each gives rows that no cache may keep and no other process can repeat. So after
the first batch from which a layer is read, two of its items are run alone; a first item that comes
alone is run twice, if it is not the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..exceptions import UnsteadyError
from ._distance import distance, too_far
from ._reading import Reading
from ._runner import Runner

_BY_CHANCE = (
    "gives a different row each time it runs, so rows cannot be cached or reproduced",
    (
        "It draws random numbers or changes its own state: functional dropout needs "
        "training=self.training, and values written in forward must not affect the output."
    ),
)
_BY_BATCH = (
    "gives an item a different row in a batch than alone",
    (
        "It uses statistics of the whole batch: a batch norm needs track_running_stats=True and "
        "statistics from training."
    ),
)
Rows = NDArray[np.float32]


def check_steady(
    runner: Runner, reading: Reading, samples: Sequence[Any], rows: Callable[[], Rows]
) -> None:
    """Run items of a batch alone and compare, unless that was done for these layers.

    Parameters
    ----------
    runner, reading
        What ran, and what was read.
    samples : sequence
        The batch.
    rows : callable
        Waits for what it gave.
    """
    where = "in a batch" if len(samples) > 1 else "once more"
    read = {(layer.name, where) for layer, _ in reading.outputs}
    if read <= runner.past.steady or (len(samples) == 1 and runner.past.expected == 1):
        return
    together = rows()
    reading = replace(reading)  # which is less where the network fails behind what is asked
    read = {(layer.name, where) for layer, _ in reading.outputs}
    if len(together) != len(samples):  # the engine says so
        return
    # The first and the last: an item that others are compared with does not move itself.
    for i in dict.fromkeys((0, len(samples) - 1)):
        alone = runner.rows([samples[i]], reading.outputs).here()[0]
        moved = _moved(alone, together[i], runner, reading)
        if moved is not None:
            again = runner.rows([samples[i]], reading.outputs).here()[0]
            by_chance = len(samples) == 1 or _moved(alone, again, runner, reading) is not None
            layer, far = moved
            fault, remedy = _BY_CHANCE if by_chance else _BY_BATCH
            raise UnsteadyError(
                f"{runner.name} {fault}: at layer {layer!r} it differs by {far:.1e} of its norm. "
                f"This begins in {runner.blame(samples, i, by_chance=by_chance)}. {remedy} Or read "
                "a layer before it."
            )
    runner.past.steady |= read


def _moved(one: Rows, other: Rows, runner: Runner, reading: Reading) -> tuple[str, float] | None:
    """Return the first layer whose part of a row moved too far, and how far."""
    for (layer, _, a), (_, _, b) in zip(reading.parts(one), reading.parts(other), strict=True):
        far = distance(torch.from_numpy(a), torch.from_numpy(b))
        if far > too_far(runner.precision):
            return layer.name, far
    return None
