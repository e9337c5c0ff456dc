"""A fitted estimator that is as it was at its last request → the road that was found for it then.

To find a road is to look for the network, state what it is, and compare that with what fit pinned,
which takes longer than the row of a small network. From one request of a service to the next,
nothing of that has changed, and to tell so takes a few microseconds.
"""

from __future__ import annotations

from operator import is_, itemgetter
from typing import Any

from ._pins import copied, is_same

_MOVING = frozenset({"_standing", "_told", "bad_items_", "counts_", "engine_"})
"""Attributes that requests write, and no road depends on."""


class Standing:
    """Remembers the last road of one estimator, and all that it was found by."""

    def __init__(self) -> None:
        self._found: tuple[Any, ...] | None = None

    def loaded(self, road: Any) -> dict[str, Any] | None:
        """Return what was loaded on this road before; None where another one was remembered."""
        found = self._found  # another thread may find another road
        return found[-2] if found is not None and found[-1] is road else None

    def road(self, estimator: Any) -> Any:
        """Return the road, if nothing has changed that it was found by; else None."""
        found = self._found
        if found is None:
            return None
        names, pick, values, lists, canary, weights, _, road = found
        state = vars(estimator)
        is_as_it_was = (
            [*state] == names
            and all(map(is_, pick(state), values))
            and all(is_same(state[name], value) for name, value in lists)
            and state["_provenance"].get("canary") is canary
            and _is_still(road, weights)
        )
        return road if is_as_it_was else None

    def keep(self, estimator: Any, road: Any) -> None:
        """Remember a road, where a later change of what it was found by would be noticed."""
        self._found = None
        # What a class of somebody else reads of itself is not known.
        if type(estimator).__module__ != __name__.partition(".")[0]:
            return
        state = vars(estimator)
        weights = state["weights_digest_"]
        if not _is_still(road, weights):
            return
        fixed = [name for name in state if name not in _MOVING]
        lists = [(name, copied(state[name])) for name in fixed if isinstance(state[name], list)]
        canary = state["_provenance"].get("canary")
        pick = itemgetter(*fixed)
        self._found = [*state], pick, pick(state), lists, canary, weights, {}, road


def _is_still(road: Any, weights: str) -> bool:
    from ..backbones import key_of_hooks

    try:
        backbone = road.backbone
        is_as_it_was = not backbone.is_found_anew and backbone.is_still(weights)
        return is_as_it_was and key_of_hooks() == road.hooks
    except Exception:  # such as weights that are gone; who looks anew says what is wrong
        return False
