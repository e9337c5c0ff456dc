"""A network of maps → one that gives the same, whose gradients take fewer passes over them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..taps import is_plain

_READ_THEIR_RESULT = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.Threshold)


def out_of_place(network: nn.Module, *, apart: Collection[str]) -> list[nn.Module]:
    """Let activations write their results elsewhere; return those that did not.

    The gradient of most of them reads what they were given, so that in place costs a copy. Whether
    others count on finding the result in its place is for the caller to prove, by the result.
    """
    found = [
        module
        for name, module in network.named_modules()
        if getattr(module, "inplace", False) is True
        and not isinstance(module, _READ_THEIR_RESULT)
        and name not in apart
        and is_plain(module)
    ]
    in_place(found, is_so=False)
    return found


def in_place(modules: Iterable[Any], *, is_so: bool) -> None:
    """Say where activations write."""
    for module in modules:
        module.inplace = is_so


class EvenMeans(TorchFunctionMode):
    """While it lasts, the gradient of a mean over a whole map is one number, seen everywhere.

    torch writes it out, in another layout than that of channels-last maps, which must then be
    turned around.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call what was called, or the same mean with another gradient."""
        if func is functional.adaptive_avg_pool2d and _is_whole(*args, **(kwargs or {})):
            return _Mean.apply(args[0])
        return func(*args, **(kwargs or {}))


def _is_whole(x: Any, output_size: Any = None) -> bool:
    is_one = output_size in (1, (1, 1), [1, 1])
    return is_one and bool(x.requires_grad) and x.ndim == 4  # noqa: PLR2004


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        return functional.adaptive_avg_pool2d(x, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        return (gradient / (ctx.shape[2] * ctx.shape[3])).expand(ctx.shape)
