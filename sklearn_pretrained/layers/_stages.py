"""A trace → the head, and the main stages that come before it.

A stage is a part of the network that holds weights, with the normalisation, activation and
pooling that follow it. Containers are split, the costliest first, until there are at least five.
"""

from __future__ import annotations

from torch import nn

from ._trace import Trace, Visit

ENOUGH = 5
_SAME_IN_EVAL = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity)


def _holds_weights(module: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in module.parameters())


def head(trace: Trace) -> Visit | None:
    """Find the classifier: the last submodule without parts that multiplies by weights."""
    leaves = [
        visit
        for visit in trace.visits
        if _holds_weights(visit.module) and not any(True for _ in visit.module.children())
    ]
    return leaves[-1] if leaves else None


def _parts(trace: Trace, name: str) -> list[Visit]:
    """List the submodules right inside one that ran; lists that never run stand for their own."""
    prefix = f"{name}." if name else ""
    inside = [v for v in trace.visits if v.name.startswith(prefix) and v.name != name]
    names = {v.name for v in inside}

    def has_parent_inside(visit: Visit) -> bool:
        parent = visit.name.rpartition(".")[0]
        while len(parent) >= len(prefix) and parent != name:
            if parent in names:
                return True
            parent = parent.rpartition(".")[0]
        return False

    return [visit for visit in inside if not has_parent_inside(visit)]


def _merge(parts: list[Visit]) -> list[Visit]:
    """Join each part that holds weights with its followers; the last of them names the stage."""
    stages: list[Visit] = []
    for part in parts:
        if _holds_weights(part.module):
            stages.append(part)
        elif stages:
            before = stages[-1]
            collapses = all(n == 1 for n in part.shape[2:]) and before.shape != part.shape
            nothing_new = issubclass(part.kind, _SAME_IN_EVAL) and part.shape == before.shape
            if not collapses and not nothing_new:
                stages[-1] = part
    return stages


def stages(trace: Trace, top: Visit | None) -> list[Visit]:
    """List the main stages in the order in which they run, without the head ``top``."""
    parts = _parts(trace, "")
    if top is not None:
        while not any(part.name == top.name for part in parts):
            holder = next((p for p in parts if top.name.startswith(f"{p.name}.")), None)
            if holder is None:
                break
            parts = _split(trace, parts, holder)
        parts = [part for part in parts if part.order < top.order]
    while len(found := _merge(parts)) < ENOUGH:
        splittable = [part for part in parts if len(_parts(trace, part.name)) > 1]
        if not splittable:
            break
        parts = _split(trace, parts, max(splittable, key=lambda part: part.own_cost))
    return found


def _split(trace: Trace, parts: list[Visit], whole: Visit) -> list[Visit]:
    pieces = [*(p for p in parts if p is not whole), *_parts(trace, whole.name)]
    return sorted(pieces, key=lambda part: part.order)
