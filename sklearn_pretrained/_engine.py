"""Items → rows: windows, batches, device, precision, and backing off when memory runs out."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ._pooling import pool
from ._taps import Tap, read
from .backbones import Backbone, LoadedNetwork, UnpackableError
from .exceptions import BadItemError, LayerError
from .fast import full_precision, is_native
from .layers import Layer

OnBad = Callable[[int, BadItemError], None]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(device: str) -> torch.device:
    """Turn a ``device`` parameter into a device that is there."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is no device; use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."
        ) from error
    there = {
        "cpu": 1,
        "meta": 0,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(wanted.type, 0)
    if (wanted.index or 0) >= there:
        raise ValueError(
            f"device={device!r} is not on this machine, which has {there} {wanted.type} devices. "
            "device='auto' takes the best one that is there."
        )
    return wanted


def resolve_dtype(dtype: str, device: torch.device) -> str:
    """Turn a ``dtype`` parameter into a precision that the device is any good at."""
    if dtype == "auto":
        return "bfloat16" if is_native(torch.bfloat16, device) else "float32"
    if dtype == "float16" and device.type == "cpu":
        raise ValueError(
            "dtype='float16' on a CPU is hundreds of times slower than float32, for want of "
            "instructions. Use dtype='bfloat16', or a GPU."
        )
    return dtype


@dataclass(frozen=True)
class Reading:
    """What a forward is to give: layers, each with its poolings, side by side in this order."""

    outputs: tuple[tuple[Layer, str], ...]

    def rows(
        self, backbone: Backbone, network: LoadedNetwork, samples: Sequence[Any]
    ) -> NDArray[np.float32]:
        """Run one batch of samples and return its rows."""
        return self.read(
            backbone, network, backbone.collate(samples, network.device, network.dtype)
        )

    def read(self, backbone: Backbone, network: LoadedNetwork, batch: Any) -> NDArray[np.float32]:
        """Run a batch that is collated already; several views of it are averaged."""
        rows = [self._view(backbone, network, view) for view in backbone.views(batch)]
        return rows[0] if len(rows) == 1 else np.mean(rows, axis=0)

    def _view(self, backbone: Backbone, network: LoadedNetwork, batch: Any) -> NDArray[np.float32]:
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
    ) -> NDArray[np.float32]:
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
        rows = torch.cat([found[layer.name][p].float() for layer, p in self.outputs], dim=1)
        return rows.cpu().numpy()


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
    samples: Sequence[Any], run: Callable[[Sequence[Any]], NDArray[np.float32]], network: Any
) -> NDArray[np.float32]:
    """Run a batch; where memory runs out, run its halves, and remember what did fit."""
    most = network.most_samples or len(samples)
    if len(samples) > most:
        parts = [samples[i : i + most] for i in range(0, len(samples), most)]
        return np.concatenate([_halving(part, run, network) for part in parts])
    try:
        return run(samples)
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


def _one_ahead(tasks: Iterable[Callable[[], Any]]) -> Iterator[Any]:
    """Yield the tasks' results in order, while the next one is already being worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool_of_one:
        waiting = None
        for task in tasks:
            upcoming = pool_of_one.submit(task)
            if waiting is not None:
                yield waiting.result()
            waiting = upcoming
        if waiting is not None:
            yield waiting.result()


def _windows(
    positions: Sequence[int], backbone: Backbone, batch_size: int | str
) -> Iterator[Sequence[int]]:
    """Cut positions into windows that grow to their full size, and hold whole batches."""
    step = 1 if batch_size == "auto" else int(batch_size)
    size, most = (-(-n // step) * step for n in (backbone.first_window, backbone.window))
    start = 0
    while start < len(positions):
        yield positions[start : start + size]
        start += size
        size = min(2 * size, most)


def _prepare(
    items: Any, window: Sequence[int], backbone: Backbone, on_bad: OnBad
) -> tuple[list[int], list[Any]]:
    """Load a window's items and turn them into samples, without those that cannot be read."""
    loaded, contents = [], []
    for position in window:
        try:
            contents.append(items.load(position))
        except BadItemError as error:
            on_bad(position, error)
        else:
            loaded.append(position)
    good, samples = [], []
    for position, sample in zip(loaded, backbone.prepare(contents), strict=True):
        if isinstance(sample, BadItemError):
            on_bad(position, sample)
        else:
            good.append(position)
            samples.append(sample)
    return good, samples


def embed(
    items: Any,
    positions: Sequence[int],
    *,
    backbone: Backbone,
    network: LoadedNetwork,
    reading: Reading,
    batch_size: int | str,
    on_bad: OnBad,
    on_batch: Callable[[int], None],
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Send items through a network, window by window, so that memory stays bounded.

    Parameters
    ----------
    items : Items
    positions : sequence of int
        Which of them.
    backbone, network, reading
        What to run, and what to read.
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
    network.expect(len(positions))
    for good, samples in _one_ahead(
        functools.partial(_prepare, items, window, backbone, on_bad)
        for window in _windows(positions, backbone, batch_size)
    ):
        for batch in backbone.batches(samples, batch_size, network.device, even=network.even):
            rows = _halving(
                [samples[i] for i in batch],
                lambda part: reading.rows(backbone, network, part),
                network,
            )
            where = [good[i] for i in batch]
            finite = np.asarray(np.isfinite(rows).all(axis=1))
            if not finite.all():
                for k in np.flatnonzero(~finite):
                    on_bad(where[k], BadItemError(_not_finite(rows[k], reading)))
                where = [p for p, ok in zip(where, finite, strict=True) if ok]
                rows = rows[finite]
            on_batch(len(batch))
            yield where, rows


def _not_finite(row: NDArray[np.float32], reading: Reading) -> str:
    start = 0
    for layer, pooling in reading.outputs:
        width = layer.width(pooling)
        if not np.isfinite(row[start : start + width]).all():
            return f"made the network give NaN or Inf at layer {layer.name!r}"
        start += width
    return "made the network give NaN or Inf"
