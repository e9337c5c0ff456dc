"""A loaded network and a sample batch → the same network, faster, wherever that is proved equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ._attention import attend_blockwise
from ._fold import fold
from ._memory import keep_pages
from ._pairs import Flow, flow, tensors
from ._switch import fast_paths

TOLERANCE = 1e-5
Undo = Callable[[], None]
Step = Callable[[nn.Module, Flow], Undo]
_FEWEST_CONVOLUTIONS = 2  # one alone cuts a vision transformer's patches


def speed_up(
    network: nn.Module, call: Callable[[nn.Module], Any], device: torch.device, dtype: torch.dtype
) -> None:
    """Apply every step that leaves the result of ``call(network)`` within `TOLERANCE`.

    A step that fails, or that changes the result, is undone, and the network stays as it was.
    The modules keep their names, weights and hooks.

    Parameters
    ----------
    network : nn.Module
        Frozen, in eval mode.
    call : callable
        Runs the network over a sample batch.
    device : torch.device
    dtype : torch.dtype
        The network's. Only float32 on a CPU is sped up so far.
    """
    if not fast_paths() or device.type != "cpu":
        return
    keep_pages()
    if dtype != torch.float32:
        return
    try:
        seen = flow(network, call)
    except Exception:  # a network that cannot be watched is run as it is
        return
    if not seen.result or not all(bool(x.isfinite().all()) for x in seen.result):
        return
    steps: Sequence[Step] = (_order_channels_last, fold, _attend_blockwise)
    if _hold(network, call, steps, seen):
        return
    for step in steps:
        _hold(network, call, [step], seen)


def _hold(
    network: nn.Module, call: Callable[[nn.Module], Any], steps: Sequence[Step], seen: Flow
) -> bool:
    """Apply steps, and undo them all where the result is not what it was."""
    undos: list[Undo] = []
    try:
        with torch.no_grad():  # what inference mode makes could never be read outside it
            for step in steps:
                undos.append(step(network, seen))  # noqa: PERF401  those before an error count
        with torch.inference_mode():
            equal = _are_equal(seen.result, list(tensors(call(network))))
    except Exception:
        equal = False
    if not equal:
        for undo in reversed(undos):
            undo()
    return equal


def _are_equal(expected: Sequence[Tensor], got: Sequence[Tensor]) -> bool:
    if [x.shape for x in expected] != [x.shape for x in got]:
        return False
    for x, y in zip(expected, got, strict=True):
        error = float((x.double() - y.double()).norm())
        if not math.isfinite(error) or error > TOLERANCE * float(x.double().norm()):
            return False
    return True


def _order_channels_last(network: nn.Module, _seen: Flow) -> Undo:
    """Lay a convolutional network's weights out with the channels last."""
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    if len(convolutions) < _FEWEST_CONVOLUTIONS:
        return lambda: None
    network.to(memory_format=torch.channels_last)

    def undo() -> None:
        network.to(memory_format=torch.contiguous_format)

    return undo


def _attend_blockwise(network: nn.Module, _seen: Flow) -> Undo:
    return attend_blockwise(network)
