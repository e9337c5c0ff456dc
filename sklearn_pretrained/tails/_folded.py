"""Convolutions with batch norms behind them → one convolution each, trained as both were."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..taps import Listener, forget, is_plain, listening
from ._gradients import in_place, out_of_place


class Folded:
    """Convolutions that give what the batch norm behind them would, in eval mode.

    Both modules keep their parameters, which get the gradients that they would have got: the
    weights are multiplied anew in each forward, which costs less than a pass over the activations.
    Whether nothing else reads what lies between them is for the caller to prove, by the result.

    Parameters
    ----------
    network : nn.Module
        Nobody else may run it.
    run : callable
        Runs of the network what is to be made faster.
    apart : collection of str
        Submodules that stay as they are.

    Attributes
    ----------
    pairs : list of (nn.Conv2d, nn.BatchNorm2d)
        What was folded.
    """

    def __init__(
        self, network: nn.Module, run: Callable[[], Any], *, apart: Collection[str]
    ) -> None:
        self.pairs = _pairs(network, run, apart)
        self._in_place = out_of_place(network, apart=apart) if self.pairs else []
        for conv, norm in self.pairs:
            module: Any
            for module, forward in ((conv, _convolving(conv, norm)), (norm, _as_it_is)):
                module.forward = forward

    def undo(self) -> None:
        """Give the modules their own forwards back."""
        for pair in self.pairs:
            for module in pair:
                del module.forward
        in_place(self._in_place, is_so=True)


def _pairs(
    network: nn.Module, run: Callable[[], Any], apart: Collection[str]
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Find batch norms that are given what a convolution has just returned."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    found: dict[nn.BatchNorm2d, nn.Conv2d] = {}
    runs: dict[nn.Module, int] = {}

    def after(conv: Any, output: Any) -> None:
        runs[conv] = runs.get(conv, 0) + 1
        made[id(output)] = conv, output

    def before(norm: Any, args: Any, _kwargs: Any) -> None:
        runs[norm] = runs.get(norm, 0) + 1
        conv, output = made.get(id(args[0]), (None, None))
        if conv is not None and output is args[0]:
            found[norm] = conv

    listeners: dict[nn.Module, Listener] = {}
    for name, module in network.named_modules():
        if name in apart or not is_plain(module):
            continue
        if type(module) is nn.Conv2d and module.padding_mode == "zeros":
            listeners[module] = Listener(after=after)
        elif type(module) is nn.BatchNorm2d and module.running_var is not None:
            listeners[module] = Listener(before=before)
    with torch.inference_mode(), listening(listeners):
        run()
    forget(network)
    return [(conv, norm) for norm, conv in found.items() if runs[conv] == runs[norm] == 1]


def _convolving(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Callable[[Tensor], Tensor]:
    def convolve(x: Tensor) -> Tensor:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = (norm.running_var + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -norm.running_mean * scale
        if norm.bias is not None:
            shift = shift + norm.bias
        if conv.bias is not None:
            shift = shift + conv.bias * scale
        weight = conv.weight * scale.view(-1, 1, 1, 1)
        return functional.conv2d(
            x, weight, shift, conv.stride, conv.padding, conv.dilation, conv.groups
        )

    return convolve


def _as_it_is(x: Tensor) -> Tensor:
    return x
