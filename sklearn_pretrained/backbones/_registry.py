"""A backbone → its loaded network: one of each in a process, however many estimators use it."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..exceptions import WeightsError
from ..fast import fast_paths, speed_up
from ._backbone import Backbone

MOST_NETWORKS = 4
"""Networks kept loaded; the least recently used one goes first."""


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
    """

    module: nn.Module
    device: torch.device
    dtype: torch.dtype
    lock: threading.RLock = field(default_factory=threading.RLock)
    most_samples: int | None = None
    packing: Any = None
    even: bool = False
    unpackable: set[str] = field(default_factory=set)


_loaded: OrderedDict[tuple[str, ...], LoadedNetwork] = OrderedDict()
_lock = threading.RLock()


def load(
    backbone: Backbone, device: torch.device, dtype: torch.dtype, pinned: str
) -> LoadedNetwork:
    """Return the loaded network; the weights must have the digest that was pinned."""
    found = backbone.weights.digest()
    if found != pinned:
        raise WeightsError(
            f"The weights of {backbone.name} are not those that this estimator was fitted with: "
            f"SHA-256 {pinned} was pinned, {found} was found ({backbone.weights.describe()}). "
            "Bring back the weights that were pinned, or fit again (the estimators behind this "
            "one too, since they learned from the old features)."
        )
    # Tensors may be mapped from their file, so a copy of it elsewhere, which may have been written
    # over since, is another network in spite of its digest.
    source = backbone.weights.describe()
    how = (str(device), str(dtype), str(fast_paths()))
    key = (backbone.name, backbone.architecture, found, source, *how)
    with _lock:
        if key not in _loaded:
            _loaded[key] = _make(backbone, device, dtype)
        _loaded.move_to_end(key)
        while len(_loaded) > MOST_NETWORKS:
            _loaded.popitem(last=False)
        return _loaded[key]


def _make(backbone: Backbone, device: torch.device, dtype: torch.dtype) -> LoadedNetwork:
    network = LoadedNetwork(_freeze(backbone.build(), device, dtype), device, dtype)
    if fast_paths() and device.type == "cpu":
        _speed_up(backbone, network.module, device, dtype)
        network.packing = backbone.find_packing(network.module)
    network.even = network.packing is None and backbone.padding_shows(network.module)
    return network


def _freeze(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    return module.eval().requires_grad_(False).to(device=device, dtype=dtype)


def _speed_up(
    backbone: Backbone, module: nn.Module, device: torch.device, dtype: torch.dtype
) -> None:
    """Take the fast paths that give the same numbers for a sample batch."""
    samples = backbone.example()
    if samples is None:
        speed_up(module, device, dtype)
        return
    batch = backbone.collate(samples, device, dtype)
    speed_up(module, device, dtype, lambda network: backbone.call(network, batch))


def unload() -> None:
    """Let go of every loaded network."""
    with _lock:
        _loaded.clear()


def _after_fork() -> None:
    """Give a forked child locks that nobody holds, and no handles on a device of the parent."""
    global _lock  # noqa: PLW0603  the parent may hold the old one
    _lock = threading.RLock()
    for key, network in list(_loaded.items()):
        network.lock = threading.RLock()
        if network.device.type != "cpu":
            del _loaded[key]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
