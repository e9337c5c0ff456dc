"""A fitted estimator that is as it was at its last request → the road that was found for it then.

To find a road is to look for the network, state what it is, and compare that with what fit pinned,
which takes longer than the row of a small network. From one request of a service to the next,
nothing of that has changed, and to tell so takes a few microseconds.
"""

from __future__ import annotations

from operator import is_, itemgetter
from typing import Any, NamedTuple

from ._pins import copied, is_same

_MOVING = frozenset({"_standing", "_told", "bad_items_", "counts_", "engine_"})
"""Attributes that requests write, and no road depends on."""


class State:
    """All of an estimator that a road may depend on, as it is now.

    Parameters
    ----------
    estimator : object
        Fitted.
    """

    def __init__(self, estimator: Any) -> None:
        held = vars(estimator)
        self._names = [*held]
        fixed = [name for name in held if name not in _MOVING]
        self._pick = itemgetter(*fixed)
        self._values = self._pick(held)
        self._lists = [(name, copied(held[name])) for name in fixed if isinstance(held[name], list)]
        self._canary = held["_provenance"].get("canary")
        self.weights: str = held["weights_digest_"]

    def is_still_of(self, estimator: Any) -> bool:
        """Tell whether nothing of it has changed since."""
        held = vars(estimator)
        return (
            [*held] == self._names
            and all(map(is_, self._pick(held), self._values))
            and all(is_same(held[name], value) for name, value in self._lists)
            and held["_provenance"].get("canary") is self._canary
        )


class _Found(NamedTuple):
    state: State
    road: Any
    loaded: dict[str, Any]


class Standing:
    """Remembers the last road of one estimator, and all that it was found by."""

    def __init__(self) -> None:
        self._found: _Found | None = None

    def loaded(self, road: Any) -> dict[str, Any] | None:
        """Return what was loaded on this road before; None where another one was remembered."""
        found = self._found  # another thread may find another road
        return found.loaded if found is not None and found.road is road else None

    def road(self, estimator: Any) -> Any:
        """Return the road, if nothing has changed that it was found by; else None."""
        found = self._found
        if found is None:
            return None
        state, road, _ = found
        return road if state.is_still_of(estimator) and _is_still(road, state.weights) else None

    def keep(self, state: State, road: Any) -> None:
        """Remember the road of a state, where a later change would be noticed.

        The state is that before the road was looked for: what another thread changes meanwhile is
        a change.
        """
        is_known = _is_still(road, state.weights)
        self._found = _Found(state, road, {}) if is_known else None


def _is_still(road: Any, weights: str) -> bool:
    from ..backbones import key_of_hooks

    try:
        backbone = road.backbone
        is_as_it_was = not backbone.is_found_anew and backbone.is_still(weights)
        return is_as_it_was and key_of_hooks() == road.hooks
    except Exception:  # such as weights that are gone; who looks anew says what is wrong
        return False
