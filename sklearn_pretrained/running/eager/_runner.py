"""A loaded network and samples → rows: torch as it is, each layer read by a tap of this call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...backbones import Backbone, Windows
from ...exceptions import LayerError
from ...layers import Layer
from ...recipe import precision_of
from ...taps import Tap, counting, on_cpu_by_default, pool, pool_windows, read
from .._batches import TOKENS
from .._runner import Outputs, Runner
from ._blame import blame
from ._loaded import LoadedNetwork
from ._windows import TextsInWindows
from .fast import fast_paths, full_precision
from .packed import UnpackableError, packed

Call = Callable[[nn.Module], Any]
Reduce = Callable[[Tensor, str, Layer, Tensor | None], Any]


class _OnDevice:
    """Rows that a GPU may still be computing, on their way to the CPU."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows if rows.is_cpu else rows.to("cpu", non_blocking=rows.is_cuda)
        self._copied = None
        if rows.is_cuda:
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(rows.device))

    def here(self) -> NDArray[np.float32]:
        """Wait for the rows."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._rows.numpy()


class EagerRunner(Runner):
    """A loaded network, run over what its backbone prepares.

    Parameters
    ----------
    backbone : Backbone
    network : LoadedNetwork
    """

    def __init__(self, backbone: Backbone, network: LoadedNetwork) -> None:
        super().__init__(
            backbone.name, network.device, precision_of(network.dtype), past=network.past
        )
        self._backbone, self._network = backbone, network

    @property
    def even(self) -> bool:
        """Whether padding would show."""
        return self._network.arranged.even

    @property
    def in_streams(self) -> bool:
        """Whether it runs on processors."""
        return self.device.type == "cpu" and fast_paths()

    def expect(self, n: int) -> None:
        """Learn that ``n`` items are coming; a network that sees many is made fast first."""
        self._network.expect(n)

    def make_fast(self) -> None:
        """Make the network fast, however many items are coming."""
        self._network.make_fast()

    def rows(self, samples: Sequence[Any], outputs: Outputs) -> _OnDevice:
        """Send one batch through the network; several views of it are averaged."""
        with on_cpu_by_default():
            if any(isinstance(sample, Windows) for sample in samples):
                return _OnDevice(self._over_windows(samples, outputs))
            batch = self._backbone.collate(samples, self.device, self._network.dtype)
            views = [self._rows(view, outputs) for view in self._backbone.views(batch)]
            return _OnDevice(views[0] if len(views) == 1 else torch.stack(views).mean(0))

    def blame(self, samples: Sequence[Any], i: int, *, by_chance: bool) -> str:
        """Name the submodule in which the rows of sample ``i`` begin to differ."""
        firsts = [sample.parts[0] if isinstance(sample, Windows) else sample for sample in samples]
        return blame(self._backbone, self._network, firsts, i, by_chance=by_chance)

    def _rows(self, batch: Any, outputs: Outputs) -> Tensor:
        trained = self._network.trained

        def reduce(x: Tensor, pooling: str, layer: Layer, mask: Tensor | None) -> Tensor:
            return pool(x, pooling, layer.layout, mask, trained)

        found = self._found(batch, outputs, reduce)
        return side_by_side([found[layer.name][pooling] for layer, pooling in outputs], outputs)

    def _over_windows(self, samples: Sequence[Any], outputs: Outputs) -> Tensor:
        def read_windows(parts: Sequence[Any], owned: Sequence[tuple[int, int]]) -> list[Any]:
            batch = self._backbone.collate(parts, self.device, self._network.dtype)
            tokens = self._backbone.mask(batch)
            own = None if tokens is None else counting(tokens, owned)

            def reduce(x: Tensor, pooling: str, layer: Layer, mask: Tensor | None) -> Any:
                return pool_windows(x, pooling, layer.layout, mask, mask_of(x, own, layer))

            found = self._found(batch, outputs, reduce)
            return [found[layer.name][pooling] for layer, pooling in outputs]

        with torch.inference_mode(), full_precision(self.device, self._network.dtype):
            texts = TextsInWindows(samples, self._backbone.lengths)
            read_all = texts.read(read_windows, TOKENS.get(self.device.type, 2048), even=self.even)
            rows = texts.rows(read_all, outputs, self._network.trained)
        return side_by_side(rows, outputs)

    def _found(self, batch: Any, outputs: Outputs, reduce: Reduce) -> dict[str, dict[str, Any]]:
        """Run the network once; give what each output's activation is reduced to."""
        backbone, network, arranged = self._backbone, self._network, self._network.arranged
        mask = backbone.mask(batch)
        names = {layer.name for layer, _ in outputs}
        if arranged.packing is not None and not names & network.unpackable:
            inputs, segments = arranged.packing.inputs(batch)

            def over_texts(module: nn.Module) -> Any:
                with packed(segments):
                    return backbone.call(module, inputs)

            with contextlib.suppress(UnpackableError):
                taps = self._taps(outputs, reduce, mask, segments.restore)
                return self._run(over_texts, arranged.module, taps)
        taps = self._taps(outputs, reduce, mask)
        return self._run(lambda module: backbone.call(module, batch), arranged.module, taps)

    def _run(self, call: Call, module: nn.Module, taps: Sequence[Tap]) -> dict[str, dict[str, Any]]:
        exactly = full_precision(self.device, self._network.dtype)
        with self._network.running(), torch.inference_mode(), exactly:
            return read(module, call, taps)

    def _taps(
        self,
        outputs: Outputs,
        reduce: Reduce,
        mask: Tensor | None,
        restore: Callable[[Tensor, Any], Tensor] | None = None,
    ) -> list[Tap]:
        by_layer: dict[str, tuple[Layer, list[str]]] = {}
        for layer, pooling in outputs:
            by_layer.setdefault(layer.name, (layer, []))[1].append(pooling)
        return [self._tap(*wanted, reduce, mask, restore) for wanted in by_layer.values()]

    def _tap(
        self,
        layer: Layer,
        poolings: list[str],
        reduce: Reduce,
        mask: Tensor | None,
        restore: Callable[[Tensor, Any], Tensor] | None,
    ) -> Tap:
        def reduced(x: Tensor) -> dict[str, Any]:
            if restore is not None:
                try:
                    x = restore(x, layer.shape)
                except UnpackableError:
                    self._network.unpackable.add(layer.name)
                    raise
            if x.is_complex():
                raise LayerError(
                    f"Layer {layer.name!r} gives complex numbers, but features are real. Choose "
                    "a layer that gives real numbers, such as magnitudes, or let the network "
                    "end in torch.view_as_real."
                )
            usable = mask_of(x, mask, layer)
            return {pooling: reduce(x, pooling, layer, usable) for pooling in poolings}

        return Tap(layer.name, layer.module, layer.side, layer.calls, reduced)


def side_by_side(rows: Sequence[Tensor], outputs: Outputs) -> Tensor:
    """Lay each output's rows side by side in float32, if they are as wide as planned."""
    for given, output in zip(rows, outputs, strict=True):
        _check_width(given, *output)
    parts = [given.float() for given in rows]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _check_width(rows: Tensor, layer: Layer, pooling: str) -> None:
    planned = layer.width(pooling)
    if rows.ndim != 2 or rows.shape[1] != planned:  # noqa: PLR2004
        raise LayerError(
            f"Layer {layer.name!r} returns rows of shape {tuple(rows.shape[1:])}, but {planned} "
            "numbers were expected from its architecture: its output depends on the item or the "
            "device. Choose another layer."
        )


def mask_of(x: Tensor, mask: Tensor | None, layer: Layer) -> Tensor | None:
    """Return which positions of an activation are real; None where it is no row of tokens."""
    if mask is None or x.ndim != 3 or x.shape[0] != mask.shape[0]:  # noqa: PLR2004
        return None
    more = x.shape[1] - mask.shape[1]
    if more < 0:
        raise LayerError(
            f"Layer {layer.name!r} returns {x.shape[1]} positions for texts of {mask.shape[1]} "
            "tokens, so it is not known which of them are padding. Choose another layer."
        )
    # Longformer pads each text further, on the right, to whole windows.
    return nn.functional.pad(mask, (0, more)) if more else mask
