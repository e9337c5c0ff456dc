"""Lengths of texts → where each lies in one row of tokens, and which row a thread is running."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

_active = threading.local()


class UnpackableError(Exception):
    """What is asked cannot be had without padding."""


@dataclass(frozen=True)
class Segments:
    """Where the texts lie in a row of tokens.

    Parameters
    ----------
    lengths : tuple of int
        Tokens of each text, in order.
    """

    lengths: tuple[int, ...]

    @functools.cached_property
    def runs(self) -> list[tuple[int, int, int]]:
        """First token, number of texts and their length, for each run of texts of one length."""
        found: list[tuple[int, int, int]] = []
        start = 0
        for length in self.lengths:
            if found and found[-1][2] == length:
                first, n, _ = found[-1]
                found[-1] = (first, n + 1, length)
            else:
                found.append((start, 1, length))
            start += length
        return found

    @functools.cached_property
    def firsts(self) -> Tensor:
        """Position of each text's first token."""
        return torch.tensor([0, *self.lengths[:-1]]).cumsum(0)

    @functools.cached_property
    def mask(self) -> Tensor:
        """Which places of the padded form are tokens, (N, L)."""
        lengths = torch.tensor(self.lengths)
        return torch.arange(int(lengths.max())) < lengths[:, None]

    def restore(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Bring (1, tokens, …) into (N, L, …), with zeros behind each text; keep (N, width)."""
        n, longest = len(self.lengths), max(self.lengths)
        if len(shape) == 1 and x.shape[:1] == (n,):
            return x
        if len(shape) == 1 or x.shape[:2] != (1, sum(self.lengths)):
            raise UnpackableError(f"a layer that gives {tuple(x.shape)}")
        if x.shape[1] == n * longest:
            return x.view(n, longest, *x.shape[2:])
        padded = x.new_zeros(n, longest, *x.shape[2:])
        padded[self.mask.to(x.device)] = x[0]
        return padded


@contextmanager
def packed(segments: Segments | None) -> Iterator[None]:
    """Let this thread's attention see texts, while a network runs over a row of them, or no row."""
    outer = active()
    try:
        _active.segments = segments
        yield
    finally:
        _active.segments = outer


def active() -> Segments | None:
    """Return the texts that this thread's network is running over, if they are packed."""
    return getattr(_active, "segments", None)
