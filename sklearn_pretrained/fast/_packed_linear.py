"""A linear layer's weight and bias → a function that runs it on oneDNN, a GELU included."""

# Prepacked weights and fused activations have no public interface; they are tried before use.
# ruff: noqa: SLF001

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Linear = Callable[[Tensor], Tensor]
_USUAL_ROWS = 1024


def packed_linear(weight: Tensor, bias: Tensor | None, gelu: str | None = None) -> Linear:
    """Return the linear map with a weight that is laid out for oneDNN once and for all.

    Parameters
    ----------
    weight : Tensor of shape (out, in)
    bias : Tensor of shape (out,) or None
    gelu : {"none", "tanh"} or None
        The kind of GELU that follows at once.
    """
    run: Any = torch.ops.mkldnn._linear_pointwise
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _USUAL_ROWS)
    activation = "none" if gelu is None else "gelu"

    def linear(x: Tensor) -> Tensor:
        return run(x, packed, bias, activation, [], gelu or "")

    return linear


@functools.cache
def packs_linear() -> bool:
    """Say whether torch's private operators are there, and right on a small matrix."""
    if not torch.backends.mkldnn.is_available():
        return False
    x = torch.linspace(-3, 3, 40 * 24).view(2, 20, 24).sin_()
    x[1, 3, 4], x[1, 5, 6] = torch.nan, torch.inf
    weight, bias = torch.linspace(-2, 2, 32 * 24).view(32, 24).cos_(), torch.linspace(-1, 1, 32)
    try:
        for gelu in (None, "none", "tanh"):
            got = packed_linear(weight, bias, gelu)(x)
            expected = F.linear(x, weight, bias)
            if gelu is not None:
                expected = F.gelu(expected, approximate=gelu)
            if not torch.allclose(got, expected, rtol=1e-5, atol=1e-5, equal_nan=True):
                return False
    except (RuntimeError, AttributeError, TypeError):
        return False
    return True


@functools.cache
def pays_linear() -> bool:
    """Measure once in a process whether oneDNN beats torch's usual library by a tenth."""
    if not packs_linear():
        return False
    x, weight, bias = torch.ones(512, 768), torch.ones(768, 768), torch.ones(768)
    contenders = (packed_linear(weight, bias), lambda x: F.linear(x, weight, bias))
    times: tuple[list[float], list[float]] = ([], [])
    with torch.inference_mode():
        for _ in range(7):
            for run, taken in zip(contenders, times, strict=True):
                started = time.perf_counter()
                run(x)
                taken.append(time.perf_counter() - started)
    packed, usual = (statistics.median(taken[1:]) for taken in times)
    return packed < 0.9 * usual
