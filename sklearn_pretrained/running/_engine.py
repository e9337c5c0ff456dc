"""Items → rows: batches, devices in turn, and backing off when memory runs out."""

from __future__ import annotations

import contextlib
import functools
import itertools
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._pooling import pool
from .._taps import Tap, read
from ..backbones import Backbone, UnpackableError
from ..exceptions import BadItemError, LayerError
from ..layers import Layer
from ._prepare import OnBad, windows
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


@dataclass(frozen=True)
class Reading:
    """What a forward is to give: layers, each with its poolings, side by side in this order."""

    outputs: tuple[tuple[Layer, str], ...]

    def rows(self, backbone: Backbone, network: LoadedNetwork, samples: Sequence[Any]) -> Underway:
        """Send one batch of samples through the network."""
        return self.read(
            backbone, network, backbone.collate(samples, network.device, network.dtype)
        )

    def read(self, backbone: Backbone, network: LoadedNetwork, batch: Any) -> Underway:
        """Run a batch that is collated already; several views of it are averaged."""
        views = [self._view(backbone, network, view) for view in backbone.views(batch)]
        return Underway(views[0] if len(views) == 1 else torch.stack(views).mean(0))

    def _view(self, backbone: Backbone, network: LoadedNetwork, batch: Any) -> Tensor:
        mask = backbone.mask(batch)
        names = {layer.name for layer, _ in self.outputs}
        if network.packing is not None and not names & network.unpackable:
            packed, restore = backbone.pack(batch, network.packing)
            with contextlib.suppress(UnpackableError):
                return self._run(backbone, network, packed, mask, restore)
        return self._run(backbone, network, batch, mask)

    def _run(
        self,
        backbone: Backbone,
        network: LoadedNetwork,
        batch: Any,
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
                usable = _mask_of(x, mask, layer)
                return {p: pool(x, p, layer.layout, usable) for p in poolings}

            return Tap(layer.name, layer.module, layer.side, layer.calls, reduce)

        taps = [tap(*wanted) for wanted in by_layer.values()]
        with network.lock, torch.inference_mode(), full_precision(network.device, network.dtype):
            found = read(network.module, lambda module: backbone.call(module, batch), taps)
        return torch.cat([found[layer.name][p].float() for layer, p in self.outputs], dim=1)


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


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        # What torch says on Linux, and elsewhere.
        and any(said in str(error) for said in ("can't allocate memory", "not enough memory"))
    )


def _halving(
    samples: Sequence[Any], run: Callable[[Sequence[Any]], Underway], network: LoadedNetwork
) -> list[Underway]:
    """Run a batch; where memory runs out, run its halves, and remember what did fit."""
    most = network.most_samples or len(samples)
    if len(samples) > most:
        parts = [samples[i : i + most] for i in range(0, len(samples), most)]
        return [rows for part in parts for rows in _halving(part, run, network)]
    try:
        return [run(samples)]
    except Exception as error:
        if not _is_out_of_memory(error) or len(samples) == 1:
            raise
    if network.device.type == "cuda":
        torch.cuda.empty_cache()
    if network.most_samples is None:
        warnings.warn(
            f"Memory ran out with a batch of {len(samples)}; going on with smaller batches.",
            RuntimeWarning,
            stacklevel=2,
        )
    network.most_samples = len(samples) // 2
    return _halving(samples, run, network)


def embed(
    items: Any,
    positions: Sequence[int],
    *,
    backbone: Backbone,
    networks: Sequence[LoadedNetwork],
    reading: Reading,
    batch_size: int | str,
    on_bad: OnBad,
    on_batch: Callable[[int], None],
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Send items through a network, window by window, so that memory stays bounded.

    A GPU is given its next batch before the rows of the last one are waited for.

    Parameters
    ----------
    items : Items
    positions : sequence of int
        Which of them.
    backbone, networks, reading
        What to run, on each device, and what to read. Batches go to the devices in turn.
    batch_size : int or "auto"
        Most items in one forward.
    on_bad : callable
        Told position and error of an item that cannot be read, which then gives no row.
    on_batch : callable
        Told how many items are done, after each batch.

    Yields
    ------
    positions, rows
        In batches, in an order of the network's choosing.
    """
    for network in networks:
        network.expect(len(positions))
    even = any(network.even for network in networks)

    def finish(where: list[int], batch: list[Underway]) -> tuple[list[int], NDArray[np.float32]]:
        rows = np.concatenate([part.here() for part in batch])
        finite = np.isfinite(rows).all(axis=1)
        for k in np.flatnonzero(~finite):
            on_bad(where[k], BadItemError(_not_finite(rows[k], reading)))
        on_batch(len(where))
        return [p for p, ok in zip(where, finite, strict=True) if ok], rows[finite]

    turns = itertools.cycle(networks)
    gpus = sum(network.device.type == "cuda" for network in networks)
    underway: deque[tuple[list[int], list[Underway]]] = deque()
    for good, samples in windows(items, positions, backbone, batch_size, on_bad, gpus=gpus):
        for batch in backbone.batches(samples, batch_size, networks[0].device, even=even):
            network = next(turns)
            run = functools.partial(reading.rows, backbone, network)
            rows = _halving([samples[i] for i in batch], run, network)
            underway.append(([good[i] for i in batch], rows))
            if len(underway) > gpus:
                yield finish(*underway.popleft())
    while underway:
        yield finish(*underway.popleft())


def _not_finite(row: NDArray[np.float32], reading: Reading) -> str:
    start = 0
    for layer, pooling in reading.outputs:
        width = layer.width(pooling)
        if not np.isfinite(row[start : start + width]).all():
            return f"made the network give NaN or Inf at layer {layer.name!r}"
        start += width
    return "made the network give NaN or Inf"
