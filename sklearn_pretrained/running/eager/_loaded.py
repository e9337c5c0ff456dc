"""A network that is loaded: how it is arranged, who runs it, and how many items fit."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ...process import ForkLock, hold_during_forks
from .._runner import Past


class _Runs:
    """Lets any number of threads run networks, and forks wait for those that do."""

    def __init__(self) -> None:
        self._free_all()
        hold_during_forks(self)

    def _free_all(self) -> None:
        self._making = threading.RLock()
        self._own = threading.local()
        self._locks: weakref.WeakSet[Any] = weakref.WeakSet()
        self._held: list[Any] = []

    def of_this_thread(self) -> AbstractContextManager[Any]:
        """Return what to hold during a forward, which nobody but a fork waits for."""
        lock = getattr(self._own, "lock", None)
        if lock is None:
            with self._making:
                lock = self._own.lock = threading.RLock()
                self._locks.add(lock)
        found: AbstractContextManager[Any] = lock
        return found

    def before_fork(self) -> None:
        """Wait for forwards to end: a child would inherit torch's own locks, held forever."""
        self._making.acquire()
        self._held = [lock for lock in list(self._locks) if lock.acquire(timeout=_PATIENCE)]

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; a child has no other thread."""
        if in_child:
            self._free_all()
            return
        for lock in self._held:
            lock.release()
        self._held = []
        self._making.release()


_PATIENCE = 60.0
"""Seconds that a fork waits for a forward."""
_runs = _Runs()


@dataclass(frozen=True)
class Arrangement:
    """A network and how it is run, which belong together.

    Parameters
    ----------
    module : nn.Module
        In eval mode, without gradients. Nothing may change it.
    packing : object or None
        How sequences are run without padding, where they can be.
    even : bool
        Whether only inputs of one length may share a batch, since padding would show.
    """

    module: nn.Module
    packing: Any = None
    even: bool = False


@dataclass(eq=False)
class LoadedNetwork:
    """A frozen network on a device, which many threads may run at the same time.

    Parameters
    ----------
    arranged : Arrangement
        As it was loaded, and later as it is fastest; a forward takes one and keeps to it.
    device : torch.device
    dtype : torch.dtype
    trained : tuple of nn.Module
        What rows go through behind the pooling that the network was trained with.
    rearrange : callable or None
        What makes a faster arrangement, as long as that has not been done.
    patience : int
        Items that are sent through it before that is worth its time.
    lock : ForkLock
        Held while it is rearranged.
    past : Past
        What is known of it from what it ran.
    unpackable : set of str
        Layers that cannot be read from what is packed.
    key : tuple of str
        What it is known by among all that are loaded.
    """

    arranged: Arrangement
    device: torch.device
    dtype: torch.dtype
    trained: tuple[nn.Module, ...] = ()
    rearrange: Callable[[], Arrangement] | None = None
    patience: int = 0
    lock: ForkLock = field(default_factory=ForkLock)
    past: Past = field(default_factory=Past)
    unpackable: set[str] = field(default_factory=set)
    key: tuple[str, ...] = ()

    @property
    def module(self) -> nn.Module:
        """The network."""
        return self.arranged.module

    def expect(self, n: int) -> None:
        """Learn that ``n`` items are coming; a network that sees many is made fast first."""
        with self.lock():
            self.past.expected += n
            if self.past.expected >= self.patience:
                self.make_fast()

    def make_fast(self) -> None:
        """Rearrange it, if that has not been done.

        That is done as a whole or not at all: the new arrangement is made beside the old one.
        """
        with self.lock():
            if self.rearrange is not None:
                self.arranged, self.rearrange = self.rearrange(), None

    def running(self) -> AbstractContextManager[Any]:
        """Return what a thread holds while it runs the network."""
        return _runs.of_this_thread()
