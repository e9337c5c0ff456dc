"""Two traces at two input sizes → which axis of each activation holds the channels.

Positions move when the input grows; channels do not. Where growing tells nothing (a pooled map
of fixed size), a submodule that computes on one axis by definition does, and a sum of activations
has the axes of each. What none of these tells stays unknown, since a wrong axis would be a silent
wrong number.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ..taps import Layout
from ._trace import Trace, Visit

_LAST_AXIS = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.EmbeddingBag)
_AXIS_ONE = (nn.GroupNorm, *(
    getattr(nn, f"{kind}{dims}d")
    for kind in ("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm", "MaxPool", "AvgPool",
                 "AdaptiveAvgPool", "AdaptiveMaxPool")
    for dims in (1, 2, 3)
))  # fmt: skip


def _by_growth(small: tuple[int, ...], large: tuple[int, ...]) -> int | None:
    """Find the one axis that stayed while the others grew."""
    if len(small) != len(large):
        return None
    axes = range(1, len(small))
    moved = [axis for axis in axes if small[axis] != large[axis]]
    stayed = [axis for axis in axes if small[axis] == large[axis]]
    if len(stayed) == 1 and moved:
        return stayed[0]
    wide = [axis for axis in stayed if small[axis] != 1]
    return wide[0] if len(wide) == 1 and not moved else None


def _by_kind(visit: Visit) -> int | None:
    """Find the axis that a submodule works on by definition."""
    if issubclass(visit.kind, _AXIS_ONE):
        return 1
    if issubclass(visit.kind, _LAST_AXIS):
        return len(visit.shape) - 1
    return None


def _prefix(small: int, large: int, growth: int) -> int | None:
    """Count the tokens that do not grow: T = prefix + positions, and positions grow by a factor."""
    prefix, rest = divmod(growth * small - large, growth - 1)
    return prefix if rest == 0 and prefix >= 0 else None


def layouts(
    trace: Trace,
    grown: Trace | None,
    *,
    growth: int,
    batch: int,
    first: bool,
    class_token: bool = True,
) -> Mapping[str, Layout | None]:
    """Derive the layout of every visited submodule's output.

    Parameters
    ----------
    trace, grown : Trace
        The same network over ``batch`` items, and over one item more, each ``growth`` times as
        large; None where the input cannot grow.
    growth : int
        Factor by which the number of positions grew.
    batch : int
        Items in the first trace.
    first : bool
        Whether the first token stands for the whole item although no prefix tells (texts).
    class_token : bool
        Whether a prefix begins with a class token, or holds registers alone.
    """
    found: dict[str, Layout | None] = {}
    by_tensor: dict[int, Layout | None] = {}
    for visit in trace.visits:
        other = grown.by_name.get(visit.name) if grown is not None else None
        found[visit.name] = _one(
            visit, other, by_tensor, growth, batch, first=first, class_token=class_token
        ) or _of_sources(visit, trace, by_tensor)
        by_tensor[visit.output] = found[visit.name]
    return found


def _of_sources(
    visit: Visit, trace: Trace, by_tensor: Mapping[int, Layout | None]
) -> Layout | None:
    """Find the layout of what an output was computed from value by value, where all agree."""
    asked, seen = [visit.output], set()
    found: set[Layout] = set()
    while asked:
        tensor = asked.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        layout = by_tensor.get(tensor)
        if layout is not None:
            found.add(layout)
        elif tensor in trace.made_of:
            asked += trace.made_of[tensor][1]
    return found.pop() if len(found) == 1 else None


def _one(
    visit: Visit,
    other: Visit | None,
    by_tensor: Mapping[int, Layout | None],
    growth: int,
    batch: int,
    *,
    first: bool,
    class_token: bool,
) -> Layout | None:
    shape = visit.shape
    one_row_an_item = shape and shape[0] == batch and (other is None or other.shape[0] == batch + 1)
    if not one_row_an_item or len(shape) == 1:
        return None
    if len(shape) == 2:  # noqa: PLR2004
        return Layout(1)
    if by_tensor.get(visit.output) is not None:
        return by_tensor[visit.output]
    channel = _by_growth(shape, other.shape) if other is not None else None
    if channel is None:
        channel = _by_kind(visit)
    if channel is None:
        passes_on = not any(True for _ in visit.module.parameters()) and shape == visit.in_shape
        source = next(iter(visit.inputs), None) if passes_on else None
        return by_tensor.get(source) if source is not None else None
    if len(shape) == 3 and channel == 2 and other is not None and shape[1] != other.shape[1]:  # noqa: PLR2004
        prefix = _prefix(shape[1], other.shape[1], growth)
        return (
            None
            if prefix is None
            else Layout(channel, prefix, first or (class_token and prefix > 0))
        )
    return Layout(channel)
