"""A linear layer and the GELU after it → one call of oneDNN, where that measures faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ...._listeners import is_input_read, is_output_read, is_plain
from ...._process import remembered
from ._linears import Linear, is_there, packed, race
from ._pairs import Flow

_ROWS, _WIDTH, _RUNS = 394, 768, 5  # two images' tokens in a small vision transformer


def fuse_gelu(network: nn.Module, flow: Flow) -> None:
    """Compute each GELU in the linear layer that alone feeds it, whatever the item.

    While somebody reads what lies between the two, they run apart.
    """
    modules = dict(network.named_modules())
    pairs = [(modules[linear], modules[gelu]) for linear, gelu in flow.next_of.items()]
    pairs = [
        (linear, gelu)
        for linear, gelu in pairs
        if type(linear) is nn.Linear and is_plain(gelu) and _is_gelu(gelu)
    ]
    if pairs and not flow.looks_at_values and fusing_pays():
        for linear, gelu in pairs:
            _fuse(linear, gelu)


def _is_gelu(module: nn.Module) -> bool:
    """Say whether a module, of whichever library, computes the exact GELU and nothing else.

    It is tried with numbers of every size: one that clips would agree on small ones.
    """
    if any(True for _ in (*module.parameters(), *module.buffers(), *module.children())):
        return False
    large = torch.logspace(0, 38, 305)
    special = torch.tensor([torch.inf, torch.nan])
    x = torch.cat([torch.linspace(-6, 6, 49), large, -large, special])
    try:
        return torch.allclose(module(x), F.gelu(x), rtol=0, atol=0, equal_nan=True)
    except Exception:  # it wants something else than one tensor
        return False


def _fuse(linear: nn.Module, gelu: nn.Module) -> None:
    before, after = linear.forward, gelu.forward
    both = packed(linear.weight, linear.bias, "gelu")  # type: ignore[arg-type]

    def are_apart() -> bool:
        return is_output_read(linear) or is_input_read(gelu)

    def linear_forward(x: Tensor) -> Any:
        return before(x) if are_apart() else both(x)

    def gelu_forward(x: Tensor) -> Any:
        return after(x) if are_apart() else x

    linear.forward, gelu.forward = linear_forward, gelu_forward


@remembered("what was tried on this machine")
def fusing_pays() -> bool:
    """Race the fused form against two calls, once in a process; NaN must stay NaN."""
    if not is_there():
        return False
    x = torch.linspace(-2, 2, _ROWS * _WIDTH).view(_ROWS, _WIDTH).sin_()
    weight = torch.linspace(-2, 2, _WIDTH * _WIDTH).view(_WIDTH, _WIDTH).cos_().div_(_WIDTH**0.5)
    one, alone = packed(weight, None, "gelu"), packed(weight, None)
    rivals: tuple[Linear, ...] = (
        one,
        lambda x: F.gelu(alone(x)),
        lambda x: F.gelu(F.linear(x, weight)),
    )
    with torch.inference_mode():
        broken = x[:4].clone()
        broken[1, 2] = torch.nan
        if not torch.allclose(one(broken), rivals[2](broken), 1e-5, 1e-5, equal_nan=True):
            return False
        ours, *others = race(x, rivals, _RUNS)
    return ours < min(others)
