"""Activations of windows of texts → one row for each text; pure functions, as pooling is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..exceptions import LayerError
from ..recipe import parsed
from ._pooling import MODES, WHOLE, Layout, reduced, stepped, without_first

Part = tuple[Tensor, Tensor]
"""What windows give for one mode of a pooling, (N, D), and how much each counts, (N,)."""


def why_not(pooling: str, shape: tuple[int, ...], layout: Layout | None) -> str | None:
    """Say why activations of this shape (batch axis left out) are not pooled over windows."""
    if len(shape) == 1:
        return None
    if len(shape) != 2 or layout is None or layout.channel != 2:  # noqa: PLR2004
        return f"its output {shape} is not a sequence of tokens"
    joined = [name for name, mode in MODES.items() if mode.of_windows and mode.over]
    for mode in parsed(pooling).modes:
        if mode in WHOLE or not MODES[mode].of_windows:
            return f"pooling={pooling!r} is not defined over windows; use one of {joined}"
    return None


def check_outputs(outputs: Iterable[tuple[Any, str]]) -> None:
    """Refuse a layer, or a pooling of it, that is not pooled over windows."""
    for layer, pooling in outputs:
        reason = why_not(pooling, layer.shape, layer.layout)
        if reason is not None:
            raise LayerError(
                f"truncation='windows' cannot be used at layer {layer.name!r}: {reason}."
            )


def counting(mask: Tensor, owned: Sequence[tuple[int, int]]) -> Tensor:
    """Leave in a mask what counts of each window: positions from the first number to the second."""
    first, end = torch.tensor(owned, device=mask.device).T[..., None]
    place = torch.arange(mask.shape[1], device=mask.device)
    return mask * ((place >= first) & (place < end))


def pool_windows(
    x: Tensor, pooling: str, layout: Layout | None, mask: Tensor | None, own: Tensor | None
) -> list[Part]:
    """Pool each window in every mode, over what counts of it or over the whole.

    Parameters
    ----------
    x : Tensor of shape (N, T, D) or (N, D)
    pooling : str
        One that `why_not` allows.
    layout : Layout or None
    mask, own : Tensor of shape (N, T), or None for vectors
        Which tokens are real, and which of them count.
    """
    made = parsed(pooling)
    if mask is None or own is None:
        if x.ndim != 2:  # noqa: PLR2004
            raise ValueError(f"an output of shape {tuple(x.shape)} is not a sequence of tokens")
        return [(x.clone(), torch.ones(len(x), device=x.device)) for _ in made.modes]
    skipped = without_first(x, mask, made.skip)
    whole = mask if skipped is None else skipped
    found = []
    for mode in made.modes:
        usable = whole if MODES[mode].of_windows == "windows" else whole * own
        weight = usable.any(1) if usable is whole else usable.sum(1)
        found.append((reduced(x, mode, layout, usable, made.skip), weight.float()))
    return found


def join_windows(
    batches: Iterable[Sequence[Part]],
    order: Tensor,
    sizes: Sequence[int],
    pooling: str,
    trained: Sequence[Callable[[Tensor], Tensor]] = (),
    *,
    vectors: bool = False,
) -> Tensor:
    """Join what the windows of each text give, and take it through the pooling's steps.

    Parameters
    ----------
    batches : iterable of list of Part
        What `pool_windows` gave for each batch of windows.
    order : Tensor
        Where in them each window lies.
    sizes : sequence of int
        Windows of each text.
    pooling, trained
        As `pool` takes them.
    vectors : bool, default=False
        Whether a layer gives one vector for each window: their mean is taken, whatever the mode.
    """
    made = parsed(pooling)
    rows = []
    for mode, parts in zip(made.modes, zip(*batches, strict=True), strict=True):
        given, weights = (torch.cat(some)[order] for some in zip(*parts, strict=True))
        join = _greatest if not vectors and MODES[mode].of_windows == "greatest" else _mean
        pairs = zip(given.split(list(sizes)), weights.split(list(sizes)), strict=True)
        rows.append(torch.stack([x[0] if len(x) == 1 else join(x, w) for x, w in pairs]))
    return stepped(rows, made, trained)


def _greatest(given: Tensor, _weights: Tensor) -> Tensor:
    return given.amax(0)


def _mean(given: Tensor, weights: Tensor) -> Tensor:
    share = weights / weights.sum().clamp(min=1e-9)
    return (share[:, None] * given.float()).sum(0).to(given.dtype)
