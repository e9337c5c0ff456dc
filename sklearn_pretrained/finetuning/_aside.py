"""A fitted featurizer and X → its rows; the first forward keeps a lower layer aside for others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import LayerError

if TYPE_CHECKING:
    from .._road import Road

Rows = NDArray[np.float32]
_DEPTH = 0.5
_MOST = 1 << 30
"""Bytes that may be kept aside."""


def aside(featurizer: Any, n: int) -> str | None:
    """Choose the layer whose activations are kept for searches over what is trained.

    It is the main stage at half the depth, or the first layer that the featurizer's ``keep_layers``
    names. None where nothing is kept: without a cache, for items of many lengths or two views, in
    reduced precision, and where ``n`` activations are too large.
    """
    keep = featurizer.keep_layers
    if (
        featurizer.cache is None
        or keep is None
        or featurizer.dtype_ != "float32"
        or getattr(featurizer, "augment", None) is not None
        or hasattr(featurizer, "max_length")
    ):
        return None
    road = featurizer.road()
    (layer,) = road.plan.resolve(_DEPTH if isinstance(keep, str) else next(iter(keep)))
    return layer.name if n * 4 * layer.width("none") <= _MOST else None


def rows(featurizer: Any, X: Any, below: str | None) -> Rows:
    """Return the rows of a featurizer, by way of the layer kept aside where that is shorter."""
    if below is None or not hasattr(featurizer, "_fitted_here"):
        found: Rows = np.asarray(featurizer.transform(X))
        return found
    road = featurizer.road()
    start = road.plan.layers[below], "none"
    if all(layer.name == below for layer, _ in road.outputs):
        return np.asarray(featurizer.transform(X))
    from .._road import Detour

    kept = list(dict.fromkeys([*road.kept, start]))
    is_below = all(layer.cost > start[0].cost for layer, _ in road.outputs)
    detour = Detour(start, _rest(featurizer, road, below)) if is_below else None
    way = replace(road, kept=kept, detour=detour)
    items = featurizer._read(X, reset=False)
    made: Rows = featurizer._rows(items, way)
    return made


def _rest(featurizer: Any, road: Road, below: str) -> Callable[[Rows], Rows | None]:
    """Make the part between two layers once it is needed."""
    parts: list[Any] = []

    def rest(kept: Rows) -> Rows | None:
        import torch

        from ._network import make_tail

        if not parts:
            try:
                parts.append(make_tail(featurizer, below))
            except LayerError:  # what lies above needs more than this layer
                parts.append(None)
        (tail,) = parts
        if tail is None:
            return None
        shape = road.plan.layers[below].shape
        given = torch.from_numpy(kept.reshape(len(kept), *shape))
        device = next(iter(tail.network.parameters())).device
        with torch.inference_mode():
            found: Rows = tail(given.to(device)).cpu().numpy()
        return found

    return rest
