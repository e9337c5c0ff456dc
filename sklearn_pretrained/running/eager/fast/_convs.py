"""A convolution's weight and bias → a function that runs it on oneDNN, its activation included."""

# Prepacked weights and fused activations have no public interface; they are tried before use.

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ....process import remembered
from ....recipe import precision_of
from ._precision import is_native

Convolve = Callable[[Tensor, "str | None"], Tensor]

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.SiLU: "swish",
    nn.Hardswish: "hardswish",
    nn.Sigmoid: "sigmoid",
    nn.ReLU6: "hardtanh",
}
_SCALARS = {"hardtanh": [0.0, 6.0]}
_HIDES_NAN = {"hardtanh"}
_OFTEN = 4
"""Runs over one shape from which on a layout of its own pays."""
_MOST_LAYOUTS, _MOST_SHAPES = 2, 64
_TRIED = (torch.float32, torch.bfloat16)


def activation_name(
    module: nn.Module | None, dtype: torch.dtype = torch.float32, *, tame: bool = False
) -> str | None:
    """Return oneDNN's name of an activation that it computes as torch does, else None.

    One that makes a number of NaN would hide a broken input: it has a name only where the network
    is ``tame``, so that no NaN can reach it.
    """
    name = _ACTIVATIONS.get(type(module))  # type: ignore[arg-type]
    if name in _HIDES_NAN and not tame:
        return None
    return name if name is not None and name in fusible(dtype) else None


@remembered("what was tried on this machine")
def fusible(dtype: torch.dtype = torch.float32) -> frozenset[str]:
    """Return the activations whose values are torch's; but for some, of NaN and infinity too."""
    return frozenset(
        name
        for module, name in _ACTIVATIONS.items()
        if packs(dtype) and _agrees(name, module(), dtype)
    )


@remembered("what was tried on this machine")
def packs(dtype: torch.dtype = torch.float32) -> bool:
    """Say whether torch's private operators are there, and right on a small convolution."""
    return (
        torch.backends.mkldnn.is_available()
        and dtype in _TRIED
        and is_native(dtype, torch.device("cpu"))
        and _agrees(None, nn.Identity(), dtype)
    )


def _agrees(name: str | None, reference: nn.Module, dtype: torch.dtype) -> bool:
    values = torch.linspace(-3, 3, 2 * 16 * 5 * 5).view(2, 16, 5, 5).sin_().to(dtype)
    x = values.clone(memory_format=torch.channels_last)
    if name not in _HIDES_NAN:
        x[1, 0, 0, 0], x[1, 1, 4, 4] = torch.nan, torch.inf
    tolerance = precision_of(dtype).kernel
    try:
        for groups in (1, 16):
            # Without weights, which would be drawn from the user's random numbers.
            conv = nn.Conv2d(16, 16, 3, padding=1, groups=groups, device="meta")
            weight = torch.linspace(-2, 2, conv.weight.numel()).cos_().view_as(conv.weight)
            weight, bias = weight.to(dtype), torch.linspace(-1, 1, 16).to(dtype)
            ours = _OnOneDNN(conv, weight, bias)
            expected = reference(F.conv2d(x, weight, bias, padding=1, groups=groups))
            for laid_out in (ours.plain, ours.laid_out(x.shape)):
                got = ours.run(x, laid_out, name)
                if not torch.allclose(got, expected, tolerance, tolerance, equal_nan=True):
                    return False
    except (RuntimeError, AttributeError, TypeError):
        return False
    return True


class _OnOneDNN:
    """A convolution whose weight is laid out for the shapes that come often.

    oneDNN chooses a layout for each shape of input, the number of items included, and for each
    number of threads. A weight in another layout has to be brought into the right one at each run,
    which can take many times as long as the convolution itself; a plain weight takes less than
    that. Layouts that turn out to be the same are kept once.
    """

    def __init__(self, conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> None:
        self._where = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self.plain = weight.contiguous(memory_format=torch.channels_last)
        self._bias = bias
        self.layouts: dict[tuple[int, ...], Tensor] = {}
        self._kept: list[Tensor] = []
        self._seen: Counter[tuple[int, ...]] = Counter()

    def __call__(self, x: Tensor, activation: str | None) -> Tensor:
        case = (*x.shape, torch.get_num_threads())
        weight = self.layouts.get(case)
        if weight is None:
            weight = self.plain
            if len(self._seen) < _MOST_SHAPES or case in self._seen:
                self._seen[case] += 1
                if self._seen[case] >= _OFTEN:
                    weight = self.layouts[case] = self._best(tuple(x.shape))
        return self.run(x, weight, activation)

    def _best(self, shape: tuple[int, ...]) -> Tensor:
        """Return the weight laid out for a shape and this thread's number of threads."""
        laid_out = self.laid_out(shape)
        for one in self._kept:
            if _are_alike(one, laid_out):
                return one
        if len(self._kept) >= _MOST_LAYOUTS:
            return self.plain
        self._kept.append(laid_out)
        return laid_out

    def laid_out(self, shape: tuple[int, ...]) -> Tensor:
        with torch.inference_mode(mode=False), torch.no_grad():
            reorder: Any = torch.ops.mkldnn._reorder_convolution_weight
            laid_out: Tensor = reorder(self.plain, *self._where, list(shape))
            return laid_out

    def run(self, x: Tensor, weight: Tensor, activation: str | None) -> Tensor:
        convolve: Any = torch.ops.mkldnn._convolution_pointwise
        scalars = _SCALARS.get(activation, []) if activation else []
        out: Tensor = convolve(
            x, weight, self._bias, *self._where, activation or "none", scalars, ""
        )
        return out


def _are_alike(one: Tensor, other: Tensor) -> bool:
    """Tell whether two weights that oneDNN laid out lie in memory in the same way."""
    try:
        ops: Any = torch.ops.mkldnn
        size = ops._nbytes(one)
        if size != ops._nbytes(other):
            return False
        return ctypes.string_at(ops.data_ptr(one), size) == ctypes.string_at(
            ops.data_ptr(other), size
        )
    except (RuntimeError, AttributeError, TypeError):  # of a torch that does not tell
        return False


def takes_activation(conv: nn.Conv2d) -> bool:
    """Say whether `convolution` can compute an activation along with the convolution."""
    return (
        conv.weight.device.type == "cpu"
        and packs(conv.weight.dtype)
        and isinstance(conv.padding, tuple)
        and conv.padding_mode == "zeros"
    )


def convolution(conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> Convolve:
    """Return ``convolve(x, activation)``, with another weight and bias than the module's own.

    Parameters
    ----------
    conv : nn.Conv2d
        Its stride, padding, dilation and groups.
    weight, bias : Tensor
        On the network's device.
    """
    if takes_activation(conv):
        return _OnOneDNN(conv, weight, bias)
    weight = weight.contiguous(memory_format=torch.channels_last)

    def convolve(x: Tensor, _activation: str | None) -> Tensor:
        return conv._conv_forward(x, weight, bias)

    return convolve
