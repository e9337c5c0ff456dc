"""A backbone → its loaded network: one of each in a process, however many estimators use it."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..._process import hold_during_forks, in_children, keep
from ...backbones._backbone import Backbone
from ...exceptions import WeightsError, pinned_were
from .fast import fast_paths, speed_up

MOST_NETWORKS = 4
"""Networks kept loaded on each device; the least recently used one goes first."""


@dataclass(eq=False)
class LoadedNetwork:
    """A frozen network on a device.

    Parameters
    ----------
    module : nn.Module
        In eval mode, without gradients. Nothing may change it.
    device : torch.device
    dtype : torch.dtype
    lock : RLock
        Held during a forward that reads layers, since hooks belong to the network.
    most_samples : int or None
        The batch that fitted, after memory ran out.
    packing : object or None
        How sequences are run without padding, where they can be.
    even : bool
        Whether only inputs of one length may share a batch, since padding would show.
    unpackable : set of str
        Layers that cannot be read then.
    rearrange : callable or None
        What makes it fast, as long as that has not been done.
    patience : int
        Items that are sent through it before that is worth its time.
    """

    module: nn.Module
    device: torch.device
    dtype: torch.dtype
    lock: threading.RLock = field(default_factory=threading.RLock)
    most_samples: int | None = None
    packing: Any = None
    even: bool = False
    unpackable: set[str] = field(default_factory=set)
    rearrange: Callable[[], None] | None = None
    patience: int = 0

    def __post_init__(self) -> None:
        hold_during_forks(self)

    def expect(self, n: int) -> None:
        """Learn that ``n`` items are coming; a network that sees many is made fast first."""
        with self.lock:
            self.patience -= n
            if self.patience <= 0 and self.rearrange is not None:
                rearrange, self.rearrange = self.rearrange, None
                rearrange()

    def before_fork(self) -> None:
        """Wait for a forward to end: a child would inherit its hooks, and torch's own locks."""
        self.lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on, in the child with a lock that nobody holds."""
        if in_child:
            self.lock = threading.RLock()
        else:
            self.lock.release()


_loaded: OrderedDict[tuple[str, ...], LoadedNetwork] = OrderedDict()
_lock = threading.RLock()


def load(
    backbone: Backbone, device: torch.device, dtype: torch.dtype, pinned: str
) -> LoadedNetwork:
    """Return the loaded network; the weights must have the digest that was pinned."""
    _check_pinned(backbone, pinned)
    how = (str(device), str(dtype), str(fast_paths()))
    key = (*_what(backbone), pinned, *how)
    with _lock:
        if key not in _loaded:
            network = _make(backbone, device, dtype)
            # What was read while it was loaded may have changed since it was looked at.
            _check_pinned(backbone, pinned)
            if (*_what(backbone), pinned, *how) != key:
                raise WeightsError(
                    f"{backbone.name} changed while it was loaded: what makes it gives another "
                    "network each time, or somebody was changing it. Let it give the same network "
                    "each time, and fit again."
                )
            _loaded[key] = network
            alike = [other for other in _loaded if other[-3] == str(device)]
            for other in alike[:-MOST_NETWORKS]:
                del _loaded[other]
        _loaded.move_to_end(key)
        return _loaded[key]


def _what(backbone: Backbone) -> tuple[str, ...]:
    # Tensors may be mapped from their file, so a copy of it elsewhere, which may have been written
    # over since, is another network in spite of its digest.
    where = backbone.weights.describe()
    return backbone.name, backbone.architecture, getattr(backbone, "code", ""), where


def _check_pinned(backbone: Backbone, pinned: str) -> None:
    try:
        found = backbone.weights.digest()
    except WeightsError as error:
        raise pinned_were(pinned, error) from error
    if found != pinned:
        raise WeightsError(
            f"The weights of {backbone.name} are not those that this estimator was fitted with: "
            f"SHA-256 {pinned} was pinned, {found} was found ({backbone.weights.describe()}). "
            "Bring back the weights that were pinned, or fit again (the estimators behind this "
            "one too, since they learned from the old features)."
        )


def _make(backbone: Backbone, device: torch.device, dtype: torch.dtype) -> LoadedNetwork:
    module = _freeze(backbone.build(), device, dtype)
    # Reduced precision rounds anew wherever operations are put together differently, so there the
    # network is rearranged before it gives a row.
    patience = backbone.patience if dtype == torch.float32 else 0
    network = LoadedNetwork(module, device, dtype, patience=patience)
    network.rearrange = functools.partial(_rearrange, backbone, network)
    return network


def _rearrange(backbone: Backbone, network: LoadedNetwork) -> None:
    """Take the ways that are faster and give the same numbers; each is tried on samples."""
    if fast_paths():
        _speed_up(backbone, network)
        if network.device.type == "cpu":
            network.packing = backbone.find_packing(network.module)
    network.even = network.packing is None and backbone.padding_shows(network.module)


def _freeze(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    return module.eval().requires_grad_(False).to(device=device, dtype=dtype)


def _speed_up(backbone: Backbone, network: LoadedNetwork) -> None:
    device, dtype = network.device, network.dtype
    samples = backbone.example()
    if samples is None:
        speed_up(network.module, device, dtype)
        return

    def exact() -> nn.Module:
        return _freeze(backbone.build(), device, torch.float32)

    def call(module: nn.Module) -> Any:
        precision = dtype if module is network.module else torch.float32
        return backbone.call(module, backbone.collate(samples, device, precision))

    speed_up(
        network.module,
        device,
        dtype,
        call,
        exact=None if dtype == torch.float32 else exact,
        tame=backbone.is_tame,
    )


def unload() -> None:
    """Let go of every loaded network."""
    with _lock:
        _loaded.clear()


@in_children
def _after_fork() -> None:
    """Give a forked child locks that nobody holds, and no handles on a device of the parent."""
    global _lock  # noqa: PLW0603  the parent may hold the old one
    _lock = threading.RLock()
    if _loaded:
        # The parent's pool of threads is not in the child, and OpenMP would wait for it for ever.
        torch.set_num_threads(1)
    for key, network in list(_loaded.items()):
        if network.device.type != "cpu":
            del _loaded[key]


keep(f"{__name__}._loaded", "loaded networks", clear=unload, size=_loaded.__len__)
