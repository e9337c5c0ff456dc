"""The layers that are asked for, and those that are only kept → rows, as wide as they can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..layers import Layer
from ._runner import Outputs, Runner, Underway


def joined(parts: Sequence[Underway]) -> NDArray[np.float32]:
    """Wait for the parts of a batch; all are as wide as the narrowest."""
    if len(parts) == 1:
        return parts[0].here()
    found = [part.here() for part in parts]
    narrowest = min(rows.shape[1] for rows in found)
    return np.concatenate([rows[:, :narrowest] for rows in found])


@dataclass
class Reading:
    """What a forward is to give: layers, each with its poolings, side by side in this order.

    Parameters
    ----------
    outputs : tuple of (Layer, str)
    asked : int or None, default=None
        How many of them, the first ones, an item's row needs; None means all. The others are only
        kept: where they cannot be read, rows end before them, and are right all the same.
    recipe : str, default=""
        What else decides a row: items of one recipe may share a forward, whoever asks for them.
    """

    outputs: tuple[tuple[Layer, str], ...]
    asked: int | None = None
    recipe: str = ""

    @property
    def needed(self) -> int:
        """Numbers that an item's row needs, which are the first."""
        return width_of(self.outputs[: self.asked])

    def parts(self, row: NDArray[np.float32]) -> Iterator[tuple[Layer, str, NDArray[np.float32]]]:
        """Yield each output with its part of a row."""
        start = 0
        for layer, pooling in self.outputs:
            end = start + layer.width(pooling)
            yield layer, pooling, row[start:end]
            start = end

    def rows(self, runner: Runner, samples: Sequence[Any]) -> Underway:
        """Send one batch of samples through a network."""
        outputs = self.outputs  # another thread may make them fewer
        try:
            return runner.rows(samples, outputs)
        except Exception as error:
            if outputs == outputs[: self.asked] or is_out_of_memory(error):
                raise
            # The network may fail behind what is asked, where it would not have been run.
            self.outputs = outputs[: self.asked]
            return self.rows(runner, samples)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on the machine or on a device."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        # What torch says on Linux, and elsewhere.
        and any(said in str(error) for said in ("can't allocate memory", "not enough memory"))
    )


def width_of(outputs: Outputs) -> int:
    """Count the numbers of a row."""
    return sum(layer.width(pooling) for layer, pooling in outputs)
