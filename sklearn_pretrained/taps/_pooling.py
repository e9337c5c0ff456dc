"""Activations (and a mask) → rows (N, D); pure functions that know no network and no path."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..recipe import Pooling, parsed


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


def sum_over_root(x: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
    """Take the sum over positions, divided by the square root of their number."""
    n = torch.tensor(x.shape[1]) if mask is None else mask.sum(1, keepdim=True)
    return average(x, layout, mask) * n.to(x).sqrt()


def weighted_average(x: Tensor, _layout: Layout, mask: Tensor | None, skip: int = 0) -> Tensor:
    """Take the mean over tokens, weighted by their place in the text: later ones count for more."""
    mask = torch.ones_like(x[..., 0]) if mask is None else mask
    weight = (mask * (mask.cumsum(1) + skip)).unsqueeze(-1).to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1e-9)


_FEW_CHANNELS = 32
"""Where channels lie last and are fewer, torch reads them one by one, many times slower."""


def maximum(x: Tensor, layout: Layout, mask: Tensor | None) -> Tensor:
    """Take the maximum over positions (those that the mask allows)."""
    if mask is None and not layout.prefix:
        axes = [axis for axis in range(1, x.ndim) if axis != layout.channel]
        lie_last = axes == [2, 3] and x.stride(1) == 1 and x.is_floating_point()
        if lie_last and x.shape[1] < _FEW_CHANNELS:
            columns = x.permute(0, 2, 3, 1).flatten(2).amax(1)  # all channels of a row at once
            return columns.unflatten(1, (x.shape[3], x.shape[1])).amax(1)
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
        return x[:, 0].clone()
    index = mask.to(torch.int64).argmax(1)
    return x[torch.arange(x.shape[0], device=x.device), index]


def last_token(x: Tensor, _layout: Layout, mask: Tensor | None) -> Tensor:
    """Take the last token that the mask allows."""
    if mask is None:
        return x[:, -1].clone()
    index = mask.shape[1] - 1 - mask.to(torch.int64).flip(1).argmax(1)
    # Where the mask allows none, padding is what would be taken.
    return x[torch.arange(x.shape[0], device=x.device), index] * mask.any(1, keepdim=True)


@dataclass(frozen=True)
class Mode:
    """One way to turn positions into a vector.

    Parameters
    ----------
    reduce : callable
        Takes an activation, its layout, a mask or None, and the tokens at the start of each
        sequence that the mask leaves out; returns (N, channels).
    wants : {"positions", "tokens", "class token"}
        What an activation must have.
    of_vectors : bool, default=False
        Whether a vector, which has no positions, is given back as it is.
    over : tuple of {"images", "texts"}, default=("images",)
        Whose parameter ``pooling`` may name it.
    of_windows : {"tokens", "greatest", "windows", ""}, default=""
        How what windows of one text give is joined: the mean of what counts in each, weighted by
        its number; the greatest of it; the mean of whole windows; or not at all.
    """

    reduce: Callable[[Tensor, Layout, Tensor | None, int], Tensor]
    wants: str = "positions"
    of_vectors: bool = False
    over: tuple[str, ...] = ("images",)
    of_windows: str = ""


def _plain(reduce: Callable[[Tensor, Layout, Tensor | None], Tensor]) -> Callable[..., Tensor]:
    return lambda x, layout, mask, _skip: reduce(x, layout, mask)


_BOTH = ("images", "texts")
MODES = {
    "avg": Mode(_plain(average), of_vectors=True, over=_BOTH, of_windows="tokens"),
    "mean": Mode(_plain(average), "tokens", over=_BOTH, of_windows="tokens"),
    "max": Mode(_plain(maximum), of_vectors=True, over=_BOTH, of_windows="greatest"),
    "gem": Mode(_plain(generalised_mean)),
    "cls": Mode(_plain(first_token), "class token", over=_BOTH, of_windows="windows"),
    "last": Mode(_plain(last_token), "tokens", over=("texts",), of_windows="windows"),
    # What folders of sentence-transformers name, besides these.
    "first": Mode(_plain(first_token), "tokens", over=(), of_windows="windows"),
    "mean_sqrt_len": Mode(_plain(sum_over_root), "tokens", over=()),
    "weightedmean": Mode(weighted_average, "tokens", over=()),
}
"""Each way to pool, by its name; to add one is to add a record."""

WHOLE = ("flatten", "none")
"""Poolings that keep every value."""


def names(over: str) -> set[str]:
    """Return the poolings that a user may name over images or over texts."""
    return {name for name, mode in MODES.items() if over in mode.over}


def without_first(x: Tensor, mask: Tensor | None, n: int) -> Tensor | None:
    """Let a mask leave out the first ``n`` tokens that it allows."""
    if n == 0:
        return mask
    mask = torch.ones(x.shape[:2], dtype=torch.int64, device=x.device) if mask is None else mask
    return mask * (mask.cumsum(1) > n)


def why_not(pooling: str, shape: tuple[int, ...], layout: Layout | None) -> str | None:
    """Say why a pooling makes no sense for activations of this shape (batch axis left out).

    Returns None where it does make sense.
    """
    reasons = [_why_not(mode, shape, layout) for mode in parsed(pooling).modes]
    return next((reason for reason in reasons if reason is not None), None)


def _why_not(mode: str, shape: tuple[int, ...], layout: Layout | None) -> str | None:
    if mode in WHOLE or (len(shape) == 1 and MODES[mode].of_vectors):
        return None
    if layout is None:
        return (
            f"the channel axis of its output {shape} cannot be determined; "
            "use pooling='flatten' or 'none'"
        )
    is_tokens = len(shape) == 2 and layout.channel == 2  # noqa: PLR2004
    wants = MODES[mode].wants
    if wants == "class token" and not (is_tokens and layout.first):
        return f"its output {shape} has no class token; use pooling='avg'"
    if wants == "tokens" and not is_tokens:
        return f"its output {shape} is not a sequence of tokens; use pooling='avg'"
    return None


def width(pooling: str, shape: tuple[int, ...], layout: Layout | None) -> int:
    """Count the columns that a pooling makes of activations of this shape (batch left out)."""
    if pooling in WHOLE or layout is None:
        return math.prod(shape)
    made = parsed(pooling)
    columns = len(made.modes) * shape[layout.channel - 1]
    for step, size in made.steps:
        columns = {"dense": size, "cut": min(size, columns)}.get(step, columns)
    return columns


def automatic(shape: tuple[int, ...], layout: Layout | None) -> str:
    """Choose as the networks' own heads do: the class token where there is one, else the mean."""
    if len(shape) == 1:
        return "flatten"
    if layout is not None and layout.first and len(shape) == 2:  # noqa: PLR2004
        return "cls"
    return "avg"


def pool(
    x: Tensor,
    pooling: str,
    layout: Layout | None,
    mask: Tensor | None = None,
    trained: Sequence[Callable[[Tensor], Tensor]] = (),
) -> Tensor:
    """Pool activations; the result shares no memory with them.

    Parameters
    ----------
    x : Tensor of shape (N, ...)
    pooling : str
        One that `why_not` allows; see `Pooling`.
    layout : Layout or None
        None is enough for vectors, and for "flatten" and "none".
    mask : Tensor of shape (N, T), optional
        Which tokens are real. Padding never reaches a row.
    trained : sequence of callable
        The modules that stand for the pooling's steps with weights, in their order.

    Returns
    -------
    Tensor of shape (N, D)
        "none" is flat here too; its shape is given back at the end of the road.
    """
    made = parsed(pooling)
    mask = without_first(x, mask, made.skip)
    found = [reduced(x, mode, layout, mask, made.skip) for mode in made.modes]
    return stepped(found, made, trained)


def reduced(x: Tensor, mode: str, layout: Layout | None, mask: Tensor | None, skip: int) -> Tensor:
    """Take activations to vectors in one way, of those positions that the mask allows."""
    if mode in WHOLE or (x.ndim == 2 and MODES[mode].of_vectors):  # noqa: PLR2004
        return x.flatten(1).clone()
    if layout is None:
        raise ValueError(f"pooling {mode!r} of {tuple(x.shape)} needs to know the channel axis")
    return MODES[mode].reduce(x, layout, mask, skip)


def stepped(
    reduced: Sequence[Tensor], made: Pooling, trained: Sequence[Callable[[Tensor], Tensor]]
) -> Tensor:
    """Lay what the modes gave side by side, and take it through the pooling's steps."""
    rows = reduced[0] if len(reduced) == 1 else torch.cat(list(reduced), dim=1)
    modules = iter(trained)
    for step, size in made.steps:
        if step == "unit":
            rows = functional.normalize(rows, dim=1)
        elif step == "cut":
            rows = rows[:, :size]
        else:
            rows = next(modules)(rows)
    return rows
