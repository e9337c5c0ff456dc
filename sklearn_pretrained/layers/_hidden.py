"""A trace over texts, and the hidden states that the network named → layers that give just these.

A state is read where a submodule gives, or is given, the very tensor that the network calls its
hidden state, with nothing written into it later. What is in no submodule's hands is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..taps import Layout
from ._trace import Moment, Trace


@dataclass(frozen=True)
class Hidden:
    """Where one hidden state is read, and what form it has; or why it is not read."""

    place: Moment | None
    shape: tuple[int, ...]
    layout: Layout | None
    reason: str = ""


def hidden_states(
    seen: Trace, states: Sequence[Tensor | None], found: Mapping[str, Layout | None]
) -> list[Hidden]:
    """Find where each hidden state is read.

    Parameters
    ----------
    seen : Trace
        In which every submodule ran as it is.
    states : sequence of Tensor
        What the network returned as its hidden states, of the same run.
    found : mapping of str to Layout
        Of each submodule's output.
    """
    moments: dict[tuple[int, int], list[Moment]] = {}
    for moment in seen.moments:
        moments.setdefault((moment.tensor, moment.version), []).append(moment)
    output = seen.by_name[""]
    made = []
    for given in states:
        if given is None:
            made.append(Hidden(None, (), None, "the network names no tensor there"))
            continue
        state = _unsliced(given)
        version = state._version  # noqa: SLF001  how often it was written into
        place = min(moments.get((id(state), version), ()), key=_rank, default=None)
        shape = tuple(state.shape)
        visit = seen.by_name.get(place.module) if place is not None else None
        layout = None
        if place is not None and visit is not None and place.side == "output":
            layout = found[place.module] if visit.shape == shape else None
        if layout is None and shape == output.shape:
            layout = found[""]
        reason = ""
        if place is None:
            reason = (
                "no submodule returns or receives it in the form in which the network returns it"
            )
        elif len(shape) != len(output.shape) or shape[1] < output.shape[1]:
            reason = f"it has shape {shape[1:]}, but the output has {output.shape[1:]}"
        made.append(Hidden(place, shape[1:], layout, reason))
    return made


def _rank(moment: Moment) -> tuple[bool, bool, int, int]:
    """Prefer what a block gives, as early as it can be had, to what it is given."""
    return moment.side != "output", not moment.module, moment.module.count("."), moment.order


def _unsliced(state: Tensor) -> Tensor:
    """Return what a state was cut out of, where only padding behind its tokens was cut off.

    Longformer fills texts up to whole windows, on the right, where nothing is read.
    """
    base = state._base  # noqa: SLF001
    if base is None or base.ndim != state.ndim or state.stride() != base.stride():
        return state
    is_beginning = state.storage_offset() == base.storage_offset() and base.ndim > 1
    others = [n for axis, n in enumerate(state.shape) if axis != 1]
    same = others == [n for axis, n in enumerate(base.shape) if axis != 1]
    return base if is_beginning and same else state
