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


Finished = list[tuple[list[int], NDArray[np.float32]]]


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
        return _width(self.outputs[: self.asked])

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
                usable = _mask_of(x, mask, layer)
                return {p: pool(x, p, layer.layout, usable) for p in poolings}

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


def _halving(
    samples: Sequence[Any], run: Callable[[Sequence[Any]], Underway], network: LoadedNetwork
) -> list[Underway]:
    """Run a batch; where memory runs out, run its halves, and remember what fits."""
    most = network.room.most or len(samples)
    if len(samples) > most:
        parts = [samples[i : i + most] for i in range(0, len(samples), most)]
        return [rows for part in parts for rows in _halving(part, run, network)]
    try:
        rows = [run(samples)]
    except Exception as error:
        if not is_out_of_memory(error) or len(samples) == 1:
            raise
    else:
        network.room.fitted(len(samples))
        return rows
    if network.device.type == "cuda":
        torch.cuda.empty_cache()
    if network.room.ran_out(len(samples)):
        warnings.warn(
            f"Memory ran out with a batch of {len(samples)}; going on with smaller batches.",
            RuntimeWarning,
            stacklevel=2,
        )
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
        In batches, in an order of the network's choosing. Rows hold every output, or end behind
        those that are asked where an item gives no finite numbers for the others.
    """
    for network in networks:
        network.expect(len(positions))
    even = any(network.arranged.even for network in networks)

    judge = _Judge(backbone.name, reading, on_bad)

    def finish(where: list[int], batch: list[Underway]) -> Finished:
        rows = judge.sort(where, [part.here() for part in batch])
        on_batch(len(where))
        return rows

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
                yield from finish(*underway.popleft())
    while underway:
        yield from finish(*underway.popleft())


class _Judge:
    """Tells rows that hold every output from those that hold what is asked, and from bad ones."""

    def __init__(self, name: str, reading: Reading, on_bad: OnBad) -> None:
        self._name, self._reading, self._on_bad = name, reading, on_bad
        self._full, self._needed = _width(reading.outputs), reading.needed

    def sort(self, where: list[int], parts: list[NDArray[np.float32]]) -> Finished:
        """Return positions and rows, as wide as they can be."""
        narrowest = min(part.shape[1] for part in parts)
        rows = np.concatenate([part[:, :narrowest] for part in parts])
        if len(rows) != len(where):
            raise LayerError(
                f"{self._name} gives {len(rows)} rows for {len(where)} items; the first axis of "
                "what it gives must be the batch."
            )
        finite = np.isfinite(rows)
        good = finite[:, : self._needed].all(axis=1)
        whole = finite.all(axis=1) & (narrowest == self._full)
        for k in np.flatnonzero(~good):
            self._on_bad(where[k], BadItemError(_not_finite(rows[k], self._reading)))
        return [
            ([p for p, ok in zip(where, chosen, strict=True) if ok], rows[chosen, :width])
            for chosen, width in ((whole, self._full), (good & ~whole, self._needed))
            if chosen.any()
        ]


def _width(outputs: Sequence[tuple[Layer, str]]) -> int:
    return sum(layer.width(pooling) for layer, pooling in outputs)


def _not_finite(row: NDArray[np.float32], reading: Reading) -> str:
    start = 0
    for layer, pooling in reading.outputs[: reading.asked]:
        width = layer.width(pooling)
        if not np.isfinite(row[start : start + width]).all():
            return f"made the network give NaN or Inf at layer {layer.name!r}"
        start += width
    return "made the network give NaN or Inf"
