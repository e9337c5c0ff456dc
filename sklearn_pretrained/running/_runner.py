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
from ._room import Room

Outputs = Sequence[tuple[Layer, str]]


class Underway(Protocol):
    """Rows that a device may still be computing."""

    def here(self) -> NDArray[np.float32]:
        """Wait for the rows."""


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
    together : Together or None
        Who runs it at the moment, once somebody does.
    """

    room: Room = field(default_factory=Room)
    expected: int = 0
    steady: set[tuple[str, str]] = field(default_factory=set)
    together: Any = None


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

    def note(self, outputs: Outputs) -> None:  # noqa: B027  few need to know
        """Learn that these outputs were read, if only by another runner of the network."""

    def make_fast(self) -> None:  # noqa: B027  few have something to do
        """Do beforehand what would be done once many items have come."""

    @abstractmethod
    def rows(self, samples: Sequence[Any], outputs: Outputs) -> Underway:
        """Send one batch through the network; give the outputs side by side, float32."""

    def blame(self, samples: Sequence[Any], i: int, *, by_chance: bool) -> str:  # noqa: ARG002
        """Name the part in which the rows of sample ``i`` begin to differ."""
        return "the network"
