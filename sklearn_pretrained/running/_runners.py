"""Devices and a precision → a network on each, loaded when its first row is missing."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..backbones import Backbone
from ._devices import resolve_devices, resolve_dtype, resolve_engine
from ._runner import Runner
from .eager import EagerRunner, LoadedNetwork, load


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
    """

    def __init__(
        self,
        device: str | Sequence[str],
        dtype: str,
        weights: str,
        batch_size: int | str = "auto",
        engine: str = "torch",
    ) -> None:
        self.dtype, self.batch_size = dtype, batch_size
        self._device, self._weights, self._engine = device, weights, engine
        self._loaded: list[Runner] = []

    def load(self, backbone: Backbone) -> list[Runner]:
        """Return the runner of each device; further calls return the same ones."""
        if not self._loaded:
            devices = resolve_devices(self._device)
            name = resolve_dtype(self.dtype, devices)
            engine = resolve_engine(self._engine, name, devices)
            self._loaded = [
                _runner(engine, backbone, load(backbone, one, getattr(torch, name), self._weights))
                for one in devices
            ]
        return self._loaded

    @property
    def engine(self) -> str:
        """What computed the rows; "" where all were known."""
        return ", ".join(dict.fromkeys(runner.engine for runner in self._loaded))

    @property
    def refused(self) -> str:
        """Why the engine that was asked for does not compute; "" where it does."""
        return "; ".join(dict.fromkeys(filter(None, (r.refused for r in self._loaded))))


def _runner(engine: str, backbone: Backbone, network: LoadedNetwork) -> Runner:
    if engine == "torch":
        return EagerRunner(backbone, network)
    from .openvino import OpenVINORunner

    return OpenVINORunner(backbone, network, races=engine == "auto")
