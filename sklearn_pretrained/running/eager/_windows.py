"""Samples of which some are windows, and what reads a few windows → one row for each sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...backbones import Windows
from ...taps import join_windows
from .._batches import by_length
from .._reading import is_out_of_memory
from .._runner import Outputs

Owned = Sequence[tuple[int, int]]
Read = Callable[[Sequence[Any], Owned], list[Any]]
"""Takes windows, and what counts of each; gives their parts, as `pool_windows` does, by output."""


class TextsInWindows:
    """The windows of some samples, in one row; a sample that is read whole is its only window.

    Parameters
    ----------
    samples : sequence
    lengths : callable
        Counts the tokens of samples.
    """

    def __init__(self, samples: Sequence[Any], lengths: Callable[[Sequence[Any]], Any]) -> None:
        self._parts: list[Any] = []
        self._owned: list[tuple[int, int]] = []
        self._sizes: list[int] = []
        for sample, length in zip(samples, lengths(samples), strict=True):
            whole = sample if isinstance(sample, Windows) else Windows([sample], [(0, length)])
            self._parts += whole.parts
            self._owned += whole.owned
            self._sizes.append(len(whole.parts))
        self._lengths = lengths(self._parts)

    def read(self, read: Read, budget: int, *, even: bool) -> list[tuple[list[int], list[Any]]]:
        """Read all windows, those of like length together, no more tokens at once than allowed."""
        n = len(self._parts)
        waiting = [list(b) for b in by_length(self._lengths, most=n, budget=budget, even=even)]
        found = []
        while waiting:
            batch = waiting.pop()
            try:
                given = read([self._parts[i] for i in batch], [self._owned[i] for i in batch])
            except Exception as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                half = len(batch) // 2
                waiting += [batch[half:], batch[:half]]
            else:
                found.append((batch, given))
        return found

    def rows(
        self,
        found: Sequence[tuple[list[int], list[Any]]],
        outputs: Outputs,
        trained: Sequence[Callable[[Tensor], Tensor]],
    ) -> list[Tensor]:
        """Join what the windows gave: for each output the rows of all samples."""
        order = torch.tensor([i for batch, _ in found for i in batch]).argsort()
        return [
            join_windows(
                [given[k] for _, given in found],
                order,
                self._sizes,
                pooling,
                trained,
                vectors=len(layer.shape) == 1,
            )
            for k, (layer, pooling) in enumerate(outputs)
        ]
