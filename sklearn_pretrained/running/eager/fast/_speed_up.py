"""A loaded network and a sample batch → a faster one beside it, wherever that is proved equal."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ....taps import forget, shared_copy, tensors
from ._attention import attend_blockwise
from ._fold import fold
from ._linears import is_worth_it, prepack
from ._memory import keep_pages
from ._pairs import Flow, flow
from ._precision import full_precision, is_native
from ._switch import fast_paths

TOLERANCE = 1e-5
_NO_WORSE = 1.5
"""How much farther from float32 than plain reduced precision: any other order rounds anew."""
Step = Callable[[nn.Module, Flow], None]
_FEWEST_CONVOLUTIONS = 2  # one alone cuts a vision transformer's patches


def speed_up(
    network: nn.Module,
    device: torch.device,
    dtype: torch.dtype,
    call: Callable[[nn.Module], Any],
    *,
    exact: Callable[[], nn.Module] | None = None,
    tame: bool = False,
) -> nn.Module:
    """Return a network of the same tensors and numbers that is faster, or the network itself.

    A step that fails, or that moves the result of ``call(network)`` by more than `TOLERANCE`, is
    left out. In reduced precision the result may lie hardly farther from that of float32 than it
    did. The network that was given stays as it is, and goes on serving meanwhile.

    Parameters
    ----------
    network : nn.Module
        Frozen, on its device.
    device : torch.device
        A CPU or a CUDA device; on others nothing is done.
    dtype : torch.dtype
    call : callable
        Runs a network over a sample batch of its own precision.
    exact : callable, optional
        Loads the same network in float32, where ``network`` has less.
    tame : bool
        Whether every input is finite and about as large as the sample batch.
    """
    if not fast_paths() or device.type not in _STEPS or not is_native(dtype, device):
        return network
    if device.type == "cpu":
        keep_pages()
    on_linears = device.type == "cpu" and is_worth_it(dtype)
    if not (on_linears or _has_more_than_linears(network)):
        return network
    with full_precision(device, dtype):
        original = None if exact is None else exact()
        try:
            faster = shared_copy(network)
            seen = flow(faster, call)
            right = _Right.of(seen.result, original, call)
        except Exception:  # a network that cannot be copied or watched is run as it is
            return network
        if right is None or _leaves(faster, network, seen):
            return network
        forget(faster)
        folds: Step = functools.partial(fold, exact=original, tame=tame)
        steps = [folds if step is fold else step for step in _STEPS[device.type]]
        if _holds(faster, call, steps, seen, right):
            return faster
        taken: list[Step] = []
        faster = network
        for step in steps:
            tried = shared_copy(network)
            if _holds(tried, call, [*taken, step], seen, right):
                faster, taken = tried, [*taken, step]
        return faster


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


def _leaves(copied: nn.Module, network: nn.Module, seen: Flow) -> bool:
    """Say whether a copy runs parts of the network that it was copied from.

    A function that was made inside the network may hold on to it.
    """
    own = {id(x) for x in (*copied.parameters(), *copied.buffers())}
    others = {id(x) for x in (*network.parameters(), *network.buffers())} - own
    return not others.isdisjoint(seen.touched)


def _holds(
    network: nn.Module,
    call: Callable[[nn.Module], Any],
    steps: Sequence[Step],
    seen: Flow,
    right: _Right,
) -> bool:
    """Apply steps, and say whether the result is right."""
    try:
        with torch.inference_mode(mode=False), torch.no_grad():  # it has to outlive this call
            for step in steps:
                step(network, seen)
        with torch.inference_mode():
            return right.holds(list(tensors(call(network))))
    except Exception:
        return False


def _order_channels_last(network: nn.Module, _seen: Flow) -> None:
    """Lay a convolutional network's weights out with the channels last.

    What is folded has a copy of its own weights that lies so; a second one would be of no use.
    """
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    if len(convolutions) >= _FEWEST_CONVOLUTIONS:
        for module in network.modules():
            if "forward" not in vars(module):
                module._apply(_channels_last, recurse=False)


def _channels_last(x: Tensor) -> Tensor:
    is_map = x.ndim == 4 and x.is_floating_point()  # noqa: PLR2004
    return x.contiguous(memory_format=torch.channels_last) if is_map else x


def _attend_blockwise(network: nn.Module, _seen: Flow) -> None:
    attend_blockwise(network)


def _run_linears(network: nn.Module, seen: Flow) -> None:
    if is_worth_it(seen.result[0].dtype):
        prepack(network)


_STEPS: dict[str, tuple[Step, ...]] = {
    "cpu": (fold, _order_channels_last, _attend_blockwise, _run_linears),
    "cuda": (fold, _order_channels_last),
}
