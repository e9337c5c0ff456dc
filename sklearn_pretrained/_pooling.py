"""Activations (and a mask) → rows (N, D); pure functions that know no network and no path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

UNIT = "+unit"
"""Behind the name of a pooling: each row is brought to length 1, as some text encoders want."""


@dataclass(frozen=True)
class Layout:
    """Which axis of a batched activation holds what.

    Parameters
    ----------
    channel : int
        The axis of the channels. Axis 0 is the batch; all others are positions.
    prefix : int, default=0
        Tokens at the start of the sequence (class, registers) that stand for no position.
    first : bool, default=False
        Whether the first token stands for the whole item, as a class token does.
    """

    channel: int
    prefix: int = 0
    first: bool = False


def positions(x: Tensor, layout: Layout, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Bring activations into the form (N, positions, channels), without the prefix."""
    flat = x.movedim(layout.channel, -1).flatten(1, -2) if x.ndim > 2 else x.unsqueeze(1)  # noqa: PLR2004
    if layout.prefix:
        flat = flat[:, layout.prefix :]
        mask = None if mask is None else mask[:, layout.prefix :]
    return flat, mask


def average(x: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
    """Take the mean over positions (those that the mask allows)."""
    if mask is None and not layout.prefix:
        axes = [axis for axis in range(1, x.ndim) if axis != layout.channel]
        return x.mean(axes) if axes else x
    flat, mask = positions(x, layout, mask)
    if mask is None:
        return flat.mean(1)
    weight = mask.unsqueeze(-1).to(flat.dtype)
    return (flat * weight).sum(1) / weight.sum(1).clamp(min=1e-9)


def maximum(x: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
    """Take the maximum over positions (those that the mask allows)."""
    if mask is None and not layout.prefix:
        axes = [axis for axis in range(1, x.ndim) if axis != layout.channel]
        return x.amax(axes) if axes else x
    flat, mask = positions(x, layout, mask)
    if mask is not None:
        flat = flat.masked_fill(~mask.unsqueeze(-1).bool(), float("-inf"))
    return flat.amax(1)


def generalised_mean(x: Tensor, layout: Layout, mask: Tensor | None, power: float = 3.0) -> Tensor:
    """Take the generalised mean, between average (power 1) and maximum (power ∞)."""
    cubes = x.clamp(min=1e-6).pow(power)
    return average(cubes, layout, mask).pow(1.0 / power)


def first_token(x: Tensor, _layout: Layout, mask: Tensor | None) -> Tensor:
    """Take the first token (the first one that the mask allows, so left padding is no matter)."""
    if mask is None:
        return x[:, 0]
    index = mask.to(torch.int64).argmax(1)
    return x[torch.arange(len(x), device=x.device), index]


def last_token(x: Tensor, _layout: Layout, mask: Tensor | None) -> Tensor:
    """Take the last token that the mask allows."""
    if mask is None:
        return x[:, -1]
    index = mask.shape[1] - 1 - mask.to(torch.int64).flip(1).argmax(1)
    return x[torch.arange(len(x), device=x.device), index]


_FUNCTIONS: dict[str, Callable[[Tensor, Layout, Tensor | None], Tensor]] = {
    "avg": average,
    "mean": average,
    "max": maximum,
    "gem": generalised_mean,
    "cls": first_token,
    "last": last_token,
}


def why_not(pooling: str, shape: tuple[int, ...], layout: Layout | None) -> str | None:
    """Say why a pooling makes no sense for activations of this shape (batch axis left out).

    Returns None where it does make sense.
    """
    pooling = pooling.removesuffix(UNIT)
    if pooling in {"flatten", "none"} or (pooling in {"avg", "max"} and len(shape) == 1):
        return None
    if layout is None:
        return (
            f"the axis that holds the channels of its output {shape} cannot be told; "
            "use pooling='flatten' or 'none'"
        )
    is_tokens = len(shape) == 2 and layout.channel == 2  # noqa: PLR2004
    if pooling == "cls" and not (is_tokens and layout.first):
        return f"its output {shape} has no class token; use pooling='avg'"
    if pooling in {"last", "mean"} and not is_tokens:
        return f"its output {shape} is no sequence of tokens; use pooling='avg'"
    return None


def width(pooling: str, shape: tuple[int, ...], layout: Layout | None) -> int:
    """Count the columns that a pooling makes of activations of this shape (batch left out)."""
    if pooling in {"flatten", "none"} or layout is None:
        total = 1
        for size in shape:
            total *= size
        return total
    return shape[layout.channel - 1]


def automatic(shape: tuple[int, ...], layout: Layout | None) -> str:
    """Choose as the networks' own heads do: the class token where there is one, else the mean."""
    if len(shape) == 1:
        return "flatten"
    if layout is not None and layout.first and len(shape) == 2:  # noqa: PLR2004
        return "cls"
    return "avg"


def pool(x: Tensor, pooling: str, layout: Layout | None, mask: Tensor | None = None) -> Tensor:
    """Pool activations; the result shares no memory with them.

    Parameters
    ----------
    x : Tensor of shape (N, ...)
    pooling : str
        One that `why_not` allows, perhaps with `UNIT` behind it.
    layout : Layout or None
        None is enough for vectors, and for "flatten" and "none".
    mask : Tensor of shape (N, T), optional
        Which tokens are real. Padding never reaches a row.

    Returns
    -------
    Tensor of shape (N, D)
        "none" is flat here too; its shape is given back at the end of the road.
    """
    if pooling.endswith(UNIT):
        return functional.normalize(pool(x, pooling.removesuffix(UNIT), layout, mask), dim=1)
    if pooling in {"flatten", "none"} or (x.ndim == 2 and pooling in {"avg", "max"}):  # noqa: PLR2004
        return x.flatten(1).clone()
    if layout is None:
        raise ValueError(f"pooling {pooling!r} of {tuple(x.shape)} needs to know the channel axis")
    return _FUNCTIONS[pooling](x, layout, mask)
