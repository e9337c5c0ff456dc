"""What computes rows: the contract between the engine and any way of running a network.

The smallest runner gives `Runner.rows`; torch as it is lies in ``eager/``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..layers import Layer
from ..recipe import PRECISIONS, Precision

Outputs = Sequence[tuple[Layer, str]]


class Underway(Protocol):
    """Rows that a device may still be computing."""

    def here(self) -> NDArray[np.float32]:
        """Wait for the rows."""


@dataclass
class Room:
    """How many samples fit into memory; None as long as all did.

    After a shortage it halves, and grows again when batches of that size have fitted often enough,
    each time more often.
    """

    most: int | None = None
    _fitted: int = 0
    _enough: int = 4

    def holds(self, n: int) -> bool:
        """Say whether ``n`` fit, as far as is known."""
        return self.most is None or n <= self.most

    def ran_out(self, n: int) -> bool:
        """Learn that ``n`` were too many; tell whether that is news."""
        is_news = self.most is None
        self.most, self._fitted, self._enough = max(1, n // 2), 0, min(4 * self._enough, 1 << 16)
        return is_news

    def fitted(self, n: int) -> None:
        """Learn that ``n`` fitted."""
        if self.most is None or n < self.most:
            return
        self._fitted += 1
        if self._fitted >= self._enough:
            self.most, self._fitted = 2 * self.most, 0


@dataclass
class Past:
    """What is known of a network from what it ran so far.

    Parameters
    ----------
    room : Room
        How many samples fit.
    expected : int
        Items that came.
    steady : set
        Layers that gave the same row alone as in a batch, or in a second run.
    """

    room: Room = field(default_factory=Room)
    expected: int = 0
    steady: set[tuple[str, str]] = field(default_factory=set)


class Runner(ABC):
    """One network on one device.

    Parameters
    ----------
    name : str
        Of the network, for errors.
    device : torch.device
    precision : Precision
        In which it computes.
    past : Past, optional
        Shared by all runners of one network.
    """

    def __init__(
        self,
        name: str,
        device: torch.device = torch.device("cpu"),  # noqa: B008  a constant
        precision: Precision = PRECISIONS["float32"],
        past: Past | None = None,
    ) -> None:
        self.name, self.device, self.precision = name, device, precision
        self.past = past or Past()

    @property
    def engine(self) -> str:
        """What computes."""
        return "torch"

    @property
    def refused(self) -> str:
        """Why the engine that was asked for does not; "" where it does."""
        return ""

    @property
    def even(self) -> bool:
        """Whether only samples of one length may share a batch."""
        return False

    @property
    def in_streams(self) -> bool:
        """Whether several batches at the same time, on a thread each, are best."""
        return False

    def expect(self, n: int) -> None:
        """Learn that ``n`` items are coming."""
        self.past.expected += n

    def make_fast(self) -> None:  # noqa: B027  few have something to do
        """Do beforehand what would be done once many items have come."""

    @abstractmethod
    def rows(self, samples: Sequence[Any], outputs: Outputs) -> Underway:
        """Send one batch through the network; give the outputs side by side, float32."""

    def blame(self, samples: Sequence[Any], i: int, *, by_chance: bool) -> str:  # noqa: ARG002
        """Name the part in which the rows of sample ``i`` begin to differ."""
        return "the network"
