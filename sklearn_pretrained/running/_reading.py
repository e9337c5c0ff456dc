"""A batch and the layers to read → rows, on their way from the device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._pooling import pool
from .._taps import Tap, read
from ..backbones import Backbone, UnpackableError
from ..exceptions import LayerError
from ..layers import Layer
from .eager import LoadedNetwork
from .eager.fast import full_precision


class Underway:
    """Rows that a GPU may still be computing, on their way to the CPU."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows.to("cpu", non_blocking=rows.is_cuda)
        self._copied = None
        if rows.is_cuda:
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(rows.device))

    def here(self) -> NDArray[np.float32]:
        """Wait for the rows."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._rows.numpy()


def joined(parts: Sequence[Underway]) -> NDArray[np.float32]:
    """Wait for the parts of a batch; all are as wide as the narrowest."""
    found = [part.here() for part in parts]
    narrowest = min(rows.shape[1] for rows in found)
    return np.concatenate([rows[:, :narrowest] for rows in found])


@dataclass
class Reading:
    """What a forward is to give: layers, each with its poolings, side by side in this order.

    Parameters
    ----------
    outputs : tuple of (Layer, str)
    asked : int or None, default=None
        How many of them, the first ones, an item's row needs; None means all. The others are only
        kept: where they cannot be read, rows end before them, and are right all the same.
    """

    outputs: tuple[tuple[Layer, str], ...]
    asked: int | None = None

    @property
    def needed(self) -> int:
        """Numbers that an item's row needs, which are the first."""
        return width_of(self.outputs[: self.asked])

    def rows(self, backbone: Backbone, network: LoadedNetwork, samples: Sequence[Any]) -> Underway:
        """Send one batch of samples through the network."""
        return self.read(
            backbone, network, backbone.collate(samples, network.device, network.dtype)
        )

    def read(self, backbone: Backbone, network: LoadedNetwork, batch: Any) -> Underway:
        """Run a batch that is collated already; several views of it are averaged."""
        try:
            views = [self._view(backbone, network, view) for view in backbone.views(batch)]
        except Exception as error:
            if self.outputs == self.outputs[: self.asked] or is_out_of_memory(error):
                raise
            # The network may fail behind what is asked, where it would not have been run.
            self.outputs = self.outputs[: self.asked]
            return self.read(backbone, network, batch)
        return Underway(views[0] if len(views) == 1 else torch.stack(views).mean(0))

    def _view(self, backbone: Backbone, network: LoadedNetwork, batch: Any) -> Tensor:
        mask = backbone.mask(batch)
        arranged = network.arranged

        def call(inputs: Any) -> Callable[[nn.Module], Any]:
            return lambda module: backbone.call(module, inputs)

        names = {layer.name for layer, _ in self.outputs}
        if arranged.packing is not None and not names & network.unpackable:
            packed, restore = backbone.pack(batch, arranged.packing)
            with contextlib.suppress(UnpackableError):
                return self._run(call(packed), network, arranged.module, mask, restore)
        return self._run(call(batch), network, arranged.module, mask)

    def _run(
        self,
        call: Callable[[nn.Module], Any],
        network: LoadedNetwork,
        module: nn.Module,
        mask: Tensor | None,
        restore: Callable[[Tensor, Any], Tensor] | None = None,
    ) -> Tensor:
        by_layer: dict[str, tuple[Layer, list[str]]] = {}
        for layer, pooling in self.outputs:
            by_layer.setdefault(layer.name, (layer, []))[1].append(pooling)

        def tap(layer: Layer, poolings: list[str]) -> Tap:
            def reduce(x: Tensor) -> dict[str, Tensor]:
                if restore is not None:
                    try:
                        x = restore(x, layer.shape)
                    except UnpackableError:
                        network.unpackable.add(layer.name)
                        raise
                if x.is_complex():
                    raise LayerError(
                        f"Layer {layer.name!r} gives complex numbers, and features are real. Read "
                        "a layer that gives real ones, such as a magnitude, or let the network "
                        "end in torch.view_as_real."
                    )
                usable = _mask_of(x, mask, layer)
                return {p: pool(x, p, layer.layout, usable, network.trained) for p in poolings}

            return Tap(layer.name, layer.module, layer.side, layer.calls, reduce)

        taps = [tap(*wanted) for wanted in by_layer.values()]
        exactly = full_precision(network.device, network.dtype)
        with network.running(), torch.inference_mode(), exactly:
            found = read(module, call, taps)
        for layer, pooling in self.outputs:
            _check_width(found[layer.name][pooling], layer, pooling)
        return torch.cat([found[layer.name][p].float() for layer, p in self.outputs], dim=1)


def _check_width(rows: Tensor, layer: Layer, pooling: str) -> None:
    planned = layer.width(pooling)
    if rows.ndim != 2 or rows.shape[1] != planned:  # noqa: PLR2004
        raise LayerError(
            f"Layer {layer.name!r} gives rows of shape {tuple(rows.shape[1:])}, and its "
            f"architecture promises {planned} numbers: what it gives depends on the item or on the "
            "device. Read another layer."
        )


def _mask_of(x: Tensor, mask: Tensor | None, layer: Layer) -> Tensor | None:
    """Return which positions of an activation are real; None where it is no row of tokens."""
    if mask is None or x.ndim != 3 or len(x) != len(mask):  # noqa: PLR2004
        return None
    more = x.shape[1] - mask.shape[1]
    if more < 0:
        raise LayerError(
            f"Layer {layer.name!r} gives {x.shape[1]} positions for texts of {mask.shape[1]} "
            "tokens, so which of them are padding is not known. Read another layer."
        )
    # Longformer pads each text further, on the right, to whole windows.
    return nn.functional.pad(mask, (0, more)) if more else mask


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on the machine or on a device."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        # What torch says on Linux, and elsewhere.
        and any(said in str(error) for said in ("can't allocate memory", "not enough memory"))
    )


def width_of(outputs: Sequence[tuple[Layer, str]]) -> int:
    """Count the numbers of a row."""
    return sum(layer.width(pooling) for layer, pooling in outputs)
