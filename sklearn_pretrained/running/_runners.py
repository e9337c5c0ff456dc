"""Devices and a precision → a network on each, loaded when its first row is missing."""

from __future__ import annotations

from collections.abc import Sequence

from .._precisions import PRECISIONS
from ..backbones import Backbone
from ._devices import resolve_devices, resolve_dtype
from ._runner import Runner
from .eager import EagerRunner, load


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
    """

    def __init__(
        self, device: str | Sequence[str], dtype: str, weights: str, batch_size: int | str = "auto"
    ) -> None:
        self.dtype, self.batch_size = dtype, batch_size
        self._device, self._weights = device, weights
        self._loaded: list[Runner] = []

    def load(self, backbone: Backbone) -> list[Runner]:
        """Return the runner of each device; further calls return the same ones."""
        if not self._loaded:
            devices = resolve_devices(self._device)
            dtype = PRECISIONS[resolve_dtype(self.dtype, devices)].type
            self._loaded = [
                EagerRunner(backbone, load(backbone, one, dtype, self._weights)) for one in devices
            ]
        return self._loaded
