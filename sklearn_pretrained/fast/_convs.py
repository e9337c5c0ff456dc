"""A convolution's weight and bias → a function that runs it on oneDNN, its activation included."""

# Prepacked weights and fused activations have no public interface; they are tried before use.

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Convolve = Callable[[Tensor, "str | None"], Tensor]

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.SiLU: "swish",
    nn.Hardswish: "hardswish",
    nn.Sigmoid: "sigmoid",
}


def activation_name(module: nn.Module | None) -> str | None:
    """Return oneDNN's name of an activation that it computes as torch does, else None."""
    name = _ACTIVATIONS.get(type(module))  # type: ignore[arg-type]
    return name if name is not None and name in fusible() else None


@functools.cache
def fusible() -> frozenset[str]:
    """Return the activations whose values are torch's, those of NaN and infinity too.

    A fused ReLU that makes 0 of NaN would hide a broken image, so it fails here.
    """
    return frozenset(
        name for module, name in _ACTIVATIONS.items() if packs() and _agrees(name, module())
    )


@functools.cache
def packs() -> bool:
    """Say whether torch's private operators are there, and right on a small convolution."""
    return torch.backends.mkldnn.is_available() and _agrees(None, nn.Identity())


def _agrees(name: str | None, reference: nn.Module) -> bool:
    values = torch.linspace(-3, 3, 2 * 16 * 5 * 5).view(2, 16, 5, 5).sin_()
    x = values.clone(memory_format=torch.channels_last)
    x[1, 0, 0, 0], x[1, 1, 4, 4] = torch.nan, torch.inf
    try:
        for groups in (1, 16):
            conv = nn.Conv2d(16, 16, 3, padding=1, groups=groups).requires_grad_(False)
            weight = torch.linspace(-2, 2, conv.weight.numel()).cos_().view_as(conv.weight)
            bias = torch.linspace(-1, 1, 16)
            got = _packed(conv, weight, bias, (2, 16, 5, 5))(x, name)
            expected = reference(F.conv2d(x, weight, bias, padding=1, groups=groups))
            if not torch.allclose(got, expected, rtol=1e-5, atol=1e-5, equal_nan=True):
                return False
    except (RuntimeError, AttributeError, TypeError):
        return False
    return True


def _packed(
    conv: nn.Conv2d, weight: Tensor, bias: Tensor | None, shape: tuple[int, ...]
) -> Convolve:
    where = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
    run: Any = torch.ops.mkldnn._convolution_pointwise
    weight = torch.ops.mkldnn._reorder_convolution_weight(
        weight.contiguous(memory_format=torch.channels_last), *where, list(shape)
    )

    def convolve(x: Tensor, activation: str | None) -> Tensor:
        return run(x, weight, bias, *where, activation or "none", [], "")

    return convolve


def convolution(
    conv: nn.Conv2d, weight: Tensor, bias: Tensor | None, shape: tuple[int, ...]
) -> Convolve:
    """Return ``convolve(x, activation)``, with another weight and bias than the module's own.

    Parameters
    ----------
    conv : nn.Conv2d
        Its stride, padding, dilation and groups.
    weight, bias : Tensor
        Float32, on the CPU.
    shape : tuple of int
        Of the usual input, for which the weight is laid out; others run as well.
    """
    if packs() and isinstance(conv.padding, tuple) and conv.padding_mode == "zeros":
        return _packed(conv, weight, bias, shape)
    weight = weight.contiguous(memory_format=torch.channels_last)

    def convolve(x: Tensor, _activation: str | None) -> Tensor:
        return conv._conv_forward(x, weight, bias)

    return convolve
