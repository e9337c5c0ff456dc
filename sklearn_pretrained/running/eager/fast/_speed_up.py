"""A loaded network and a sample batch → the same network, faster, wherever that is proved equal."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ._attention import attend_blockwise
from ._fold import fold
from ._gelu import fuse_gelu
from ._hooks import is_plain
from ._linears import is_worth_it, prepack
from ._memory import keep_pages
from ._pairs import Flow, flow, tensors
from ._precision import full_precision, is_native
from ._switch import fast_paths

TOLERANCE = 1e-5
_NO_WORSE = 1.5
"""How much farther from float32 than plain reduced precision: any other order rounds anew."""
Undo = Callable[[], None]
Step = Callable[[nn.Module, Flow], Undo]
_FEWEST_CONVOLUTIONS = 2  # one alone cuts a vision transformer's patches


def speed_up(
    network: nn.Module,
    device: torch.device,
    dtype: torch.dtype,
    call: Callable[[nn.Module], Any] | None = None,
    *,
    exact: Callable[[], nn.Module] | None = None,
    tame: bool = False,
) -> None:
    """Make a frozen network faster without changing its numbers.

    A step that fails, or that moves the result of ``call(network)`` by more than `TOLERANCE`, is
    undone, and the network stays as it was. In reduced precision the result may lie hardly
    farther from that of float32 than it did.

    Parameters
    ----------
    network : nn.Module
        On its device. Names, hooks and weights of its modules stay what they are.
    device : torch.device
        A CPU or a CUDA device; on others nothing is done.
    dtype : torch.dtype
    call : callable, optional
        Runs a network over a sample batch of its own precision. Without it only the linear layers
        are sped up.
    exact : callable, optional
        Loads the same network in float32, where ``network`` has less.
    tame : bool
        Whether every input is finite and about as large as the sample batch.
    """
    if not fast_paths() or device.type not in _STEPS or not is_native(dtype, device):
        return
    if device.type == "cpu":
        keep_pages()
    on_linears = device.type == "cpu" and is_worth_it(dtype)
    if call is None and on_linears:
        prepack(network)
    if call is None or not (on_linears or _has_more_than_linears(network)):
        return
    with full_precision(device, dtype):
        original = None if exact is None else exact()
        try:
            seen = flow(network, call)
            right = _Right.of(seen.result, original, call)
        except Exception:  # a network that cannot be watched is run as it is
            return
        if right is None:
            return
        folds: Step = functools.partial(fold, exact=original, tame=tame)
        steps = [folds if step is fold else step for step in _STEPS[device.type]]
        if _hold(network, call, steps, seen, right):
            return
        for step in steps:
            _hold(network, call, [step], seen, right)


def _has_more_than_linears(network: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d | nn.MultiheadAttention) for m in network.modules())


@dataclass(frozen=True)
class _Right:
    """What a forward should give, and how far from it each tensor may lie."""

    result: list[Tensor]
    allowed: list[float]

    @classmethod
    def of(
        cls, plain: list[Tensor], exact: nn.Module | None, call: Callable[[nn.Module], Any]
    ) -> _Right | None:
        if exact is None:
            result, allowed = plain, [TOLERANCE * float(x.double().norm()) for x in plain]
        else:
            with torch.inference_mode():
                result = list(tensors(call(exact)))
            allowed = [_NO_WORSE * _distance(x, y) for x, y in zip(result, plain, strict=True)]
        return cls(result, allowed) if allowed and all(map(math.isfinite, allowed)) else None

    def holds(self, got: Sequence[Tensor]) -> bool:
        return [x.shape for x in self.result] == [x.shape for x in got] and all(
            _distance(x, y) <= allowed  # never true of NaN
            for x, y, allowed in zip(self.result, got, self.allowed, strict=True)
        )


def _distance(x: Tensor, y: Tensor) -> float:
    return float((x.double() - y.double()).norm())


def _hold(
    network: nn.Module,
    call: Callable[[nn.Module], Any],
    steps: Sequence[Step],
    seen: Flow,
    right: _Right,
) -> bool:
    """Apply steps, and undo them all where the result is not right."""
    undos: list[Undo] = []
    try:
        with torch.no_grad():  # what inference mode makes could never be read outside it
            for step in steps:
                undos.append(step(network, seen))  # noqa: PERF401  those before an error count
        with torch.inference_mode():
            equal = right.holds(list(tensors(call(network))))
    except Exception:
        equal = False
    if not equal:
        for undo in reversed(undos):
            undo()
    return equal


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


def _run_linears(network: nn.Module, seen: Flow) -> Undo:
    dtype = seen.result[0].dtype
    if not is_worth_it(dtype):
        return lambda: None
    own = [m for m in network.modules() if type(m) is nn.Linear and is_plain(m)]
    prepack(network)
    split = fuse_gelu(seen) if dtype == torch.float32 else None

    def undo() -> None:
        if split is not None:
            split()
        for linear in own:
            vars(linear).pop("forward", None)

    return undo


_STEPS: dict[str, tuple[Step, ...]] = {
    "cpu": (_order_channels_last, fold, _attend_blockwise, _run_linears),
    "cuda": (_order_channels_last, fold),
}
