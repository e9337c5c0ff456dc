"""A network's first batch and its rows → nothing, or an error where rows depend on more than items.

A batch norm that takes the statistics of the batch, dropout that is always on, a buffer that counts
forwards: each gives rows that no cache may keep and no other process can repeat. So the first batch
from which a layer is read is followed by two of its items alone, and a first item that comes alone
by itself once more, if it is not the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._ears import Ear, listening
from .._precisions import precision_of
from .._taps import tensors
from ..backbones import Backbone
from ..exceptions import UnsteadyError
from ._reading import Reading
from .eager import LoadedNetwork

_FAR = 10
"""How many times the distance between two kernels a row may move."""
_BY_CHANCE = (
    "gives another row each time that it runs, so no row can be kept or repeated",
    (
        "It draws random numbers, or changes what it holds: dropout by function needs "
        "training=self.training, and what forward writes must not reach the output."
    ),
)
_BY_BATCH = (
    "gives an item another row beside other items than alone",
    (
        "It looks at the whole batch: a batch norm needs track_running_stats=True, and statistics "
        "from training."
    ),
)
Rows = NDArray[np.float32]
Step = tuple[str, list[Tensor], list[Tensor]]


def check_alone(
    backbone: Backbone,
    network: LoadedNetwork,
    reading: Reading,
    samples: Sequence[Any],
    rows: Callable[[], Rows],
) -> None:
    """Run items of a batch alone, unless that was done for these layers, and compare.

    Parameters
    ----------
    backbone, network, reading
        What ran, and what was read.
    samples : sequence
        The batch.
    rows : callable
        Waits for what it gave.
    """
    where = "beside others" if len(samples) > 1 else "once more"
    read = {(layer.name, where) for layer, _ in reading.outputs}
    if read <= network.steady or (len(samples) == 1 and network.expected == 1):
        return
    together = rows()
    # The first and the last: an item that others are compared with does not move itself.
    for i in dict.fromkeys((0, len(samples) - 1)):
        batch = backbone.collate([samples[i]], network.device, network.dtype)
        alone = reading.read(backbone, network, batch).here()[0]
        moved = _moved(alone, together[i], network, reading)
        if moved is not None:
            again = reading.read(backbone, network, batch).here()[0]
            by_chance = len(samples) == 1 or _moved(alone, again, network, reading) is not None
            raise _refusal(moved, backbone, network, samples, i, by_chance=by_chance)
    network.steady |= read


def _moved(
    one: Rows, other: Rows, network: LoadedNetwork, reading: Reading
) -> tuple[str, float] | None:
    """Return the first layer whose part of a row moved too far, and how far."""
    start = 0
    for layer, pooling in reading.outputs:
        width = layer.width(pooling)
        a, b = (torch.from_numpy(row[start : start + width]) for row in (one, other))
        start += width
        far = _distance(a, b)
        if far > _allowed(network):
            return layer.name, far
    return None


def _allowed(network: LoadedNetwork) -> float:
    return _FAR * precision_of(network.dtype).kernel


def _distance(a: Tensor, b: Tensor) -> float:
    """Return how far two activations lie apart, relative to their norm."""
    a, b = a.double(), b.double()
    finite = a.isfinite()
    if not finite.equal(b.isfinite()):
        return float("inf")
    a, b = a[finite], b[finite]
    norm = max(float(a.norm()), float(b.norm()))
    return float((a - b).norm()) / norm if norm > 0 else 0.0


def _refusal(
    moved: tuple[str, float],
    backbone: Backbone,
    network: LoadedNetwork,
    samples: Sequence[Any],
    i: int,
    *,
    by_chance: bool,
) -> UnsteadyError:
    layer, far = moved
    first = _steps(backbone, network, samples[i : i + 1], 0)
    other = _steps(
        backbone, network, samples[i : i + 1] if by_chance else samples, 0 if by_chance else i
    )
    culprit = _first_to_move(first, other, network)
    name, module = culprit if culprit is not None else ("", network.module)
    what = f"{name!r} ({type(module).__name__})" if name else f"{type(module).__name__} itself"
    fault, remedy = _BY_CHANCE if by_chance else _BY_BATCH
    return UnsteadyError(
        f"{backbone.name} {fault}: at layer {layer!r} it moved by {far:.1e} of its norm. That "
        f"begins in {what}. {remedy} Or read a layer in front of it."
    )


def _steps(
    backbone: Backbone, network: LoadedNetwork, samples: Sequence[Any], i: int
) -> list[Step]:
    """Run a batch, and return what each submodule was given and gave for one of its items."""
    names = {module: name for name, module in network.module.named_modules()}
    batch = backbone.views(backbone.collate(samples, network.device, network.dtype))[0]
    given: list[list[Tensor]] = []
    steps: list[Step] = []

    def of_item(value: Any) -> list[Tensor]:
        found = [x for x in tensors(value) if x.ndim and len(x) == len(samples)]
        return [x[i].detach().clone() for x in found]

    def before(_module: nn.Module, args: Any, kwargs: Any) -> None:
        given.append(of_item((args, kwargs)))

    def after(module: nn.Module, output: Any) -> None:
        steps.append((names[module], given.pop(), of_item(output)))

    ear = Ear(before, after)
    with network.running(), torch.inference_mode(), listening(dict.fromkeys(names, ear)):
        backbone.call(network.module, batch)
    return steps


def _first_to_move(
    ones: list[Step], others: list[Step], network: LoadedNetwork
) -> tuple[str, nn.Module] | None:
    """Return the innermost submodule that is given the same twice, and does not give the same."""
    for (name, given, gave), (other, given_too, gave_too) in zip(ones, others, strict=False):
        if name != other:
            return None
        if _agree(given, given_too, network) and not _agree(gave, gave_too, network):
            return name, network.module.get_submodule(name)
    return None


def _agree(ones: list[Tensor], others: list[Tensor], network: LoadedNetwork) -> bool:
    for a, b in zip(ones, others, strict=False):
        if a.ndim != b.ndim:
            return False
        # Padding, if there is some, is behind.
        common = tuple(slice(min(sizes)) for sizes in zip(a.shape, b.shape, strict=True))
        if _distance(a[common], b[common]) > _allowed(network):
            return False
    return True
