"""Devices and a precision → a network on each, loaded when its first row is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..backbones import Backbone
from ._devices import resolve_devices, resolve_dtype, resolve_engine
from ._runner import Runner
from .eager import EagerRunner, LoadedNetwork, again, load

Before = dict[str, Any]


class Runners:
    """What computes the rows of one request.

    Parameters
    ----------
    device : str or sequence of str
    dtype : str
        The precision that fit pinned.
    weights : str
        Digest of the weights that fit pinned; no others are loaded.
    batch_size : int or "auto"
    engine : {"torch", "openvino", "auto"}
    before : dict, optional
        What was loaded for earlier requests, of a backbone that is as it was then.
    """

    def __init__(
        self,
        device: str | Sequence[str],
        dtype: str,
        weights: str,
        batch_size: int | str = "auto",
        engine: str = "torch",
        *,
        before: Before | None = None,
    ) -> None:
        self.dtype, self.batch_size = dtype, batch_size
        self._device, self._weights, self._engine = device, weights, engine
        self._before = {} if before is None else before
        self._loaded: list[Runner] = []

    def load(self, backbone: Backbone) -> list[Runner]:
        """Return the runner of each device; further calls return the same ones."""
        if not self._loaded:
            self._loaded = self._again(backbone) or self._anew(backbone)
        return self._loaded

    def _again(self, backbone: Backbone) -> list[Runner]:
        """Return runners of networks that are still loaded; none where one is not."""
        how, engine, loaded = self._before.get("loaded", (None, "", ()))
        if how != (_fixed(self._device), self._engine):
            return []
        networks = [again(key) for key in loaded]
        return [_runner(engine, backbone, one) for one in networks if one] if all(networks) else []

    def _anew(self, backbone: Backbone) -> list[Runner]:
        devices = resolve_devices(self._device)
        name = resolve_dtype(self.dtype, devices)
        engine = resolve_engine(self._engine, name, devices)
        networks = [load(backbone, one, getattr(torch, name), self._weights) for one in devices]
        keys = [network.key for network in networks]
        self._before["loaded"] = (_fixed(self._device), self._engine), engine, keys
        return [_runner(engine, backbone, network) for network in networks]

    @property
    def engine(self) -> str:
        """What computed the rows; "" where all were known."""
        return ", ".join(dict.fromkeys(runner.engine for runner in self._loaded))

    @property
    def refused(self) -> str:
        """Why the engine that was asked for does not compute; "" where it does."""
        return "; ".join(dict.fromkeys(filter(None, (r.refused for r in self._loaded))))


def _fixed(device: Any) -> Any:
    return tuple(device) if isinstance(device, list) else device


def _runner(engine: str, backbone: Backbone, network: LoadedNetwork) -> Runner:
    if engine == "torch":
        return EagerRunner(backbone, network)
    from .openvino import OpenVINORunner

    return OpenVINORunner(backbone, network, races=engine == "auto")
