"""A fitted featurizer and X → its rows; the first forward keeps a lower layer aside for others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._sklearn import rows_of
from ..exceptions import BadItemError, LayerError
from ..recipe import fingerprint
from ..taps import without_autocast

if TYPE_CHECKING:
    from ..layers import Layer
    from ..recipe import Bundle
    from ..road import Road

Rows = NDArray[np.float32]
_DEPTH = 0.5
_MOST = 1 << 30
"""Bytes that may be kept aside."""
_SAMPLE = 256
"""Texts whose lengths stand for those of all."""


def aside(featurizer: Any, X: Any, n: int) -> str | None:
    """Choose the layer whose activations are kept for searches over what is trained.

    It is the main stage at half the depth, or the first layer that the featurizer's ``keep_layers``
    names. None where nothing is kept: without a cache, for items of two views or several windows,
    in reduced precision, and where ``n`` activations are too large.
    """
    keep = featurizer.keep_layers
    if (
        featurizer.cache is None
        or keep is None
        or featurizer.dtype_ != "float32"
        or getattr(featurizer, "augment", None) is not None
        or getattr(featurizer, "truncation", None) == "windows"
    ):
        return None
    road = featurizer.road()
    (layer,) = road.plan.resolve(_DEPTH if isinstance(keep, str) else next(iter(keep)))
    return layer.name if n * 4 * width_of(featurizer, layer, X, n) <= _MOST else None


def is_of_texts(featurizer: Any) -> bool:
    """Tell whether rows of tokens have lengths of their own."""
    return hasattr(featurizer, "max_length")


def width_of(featurizer: Any, layer: Layer, X: Any, n: int) -> int:
    """Estimate how many numbers a layer gives for an item."""
    if not is_of_texts(featurizer):
        return layer.width("none")
    from ..road import lengths_of

    some = X if n <= _SAMPLE else rows_of(X, np.linspace(0, n - 1, _SAMPLE).astype(int))
    lengths = lengths_of(featurizer._read(some, reset=False), featurizer.road())
    return round(float(np.mean(lengths)) * layer.shape[-1])


def way(featurizer: Any, below: str | None, *, mirror: bool = False) -> Road:
    """Return the road to a featurizer's rows, by way of the layer kept aside where it is shorter.

    Parameters
    ----------
    featurizer : featurizer
        Fitted.
    below : str or None
        The layer kept aside.
    mirror : bool
        Whether the rows are those of the items' mirror images.
    """
    road: Road = featurizer.road()
    if mirror:
        from ..backbones import mirror_only

        recipe = fingerprint({"view": "mirror", "of": road.recipe})
        canary = featurizer._canary(recipe, list(road.outputs))
        road = replace(road, backbone=mirror_only(road.backbone), recipe=recipe, canary=canary)
    is_in_production = not hasattr(featurizer, "_fitted_here")
    if below is None or is_in_production or all(one.name == below for one, _ in road.outputs):
        return road
    from ..road import Detour

    start = road.plan.layers[below], "none"
    is_below = all(layer.cost > start[0].cost for layer, _ in road.outputs)
    # What a forward keeps has one width; texts have many, so what lies below is asked for itself.
    by_itself = is_of_texts(featurizer)
    rest = _rest(featurizer, road, below)
    return replace(
        road,
        kept=road.kept if by_itself else list(dict.fromkeys([*road.kept, start])),
        detour=Detour(start, rest, computes=by_itself) if is_below else None,
    )


def rows(featurizer: Any, X: Any, road: Road) -> Rows:
    """Return the rows of a featurizer along a road of its own."""
    made: Rows = featurizer._rows(featurizer._read(X, reset=False), road)
    return made


def places(featurizer: Any, X: Any, road: Road) -> list[tuple[Bundle, bytes] | None]:
    """Return what such rows are called in the cache; None for items that cannot be read."""
    from .._outputs import bundle
    from ..road import by_length

    items = featurizer._read(X, reset=False)
    found: list[tuple[Bundle, bytes] | None] = [None] * len(items)
    whole = [(range(len(items)), items, road)]
    parts: Any = by_length(items, road) if is_of_texts(featurizer) else whole
    for positions, some, one in parts:
        asked = bundle(one.named(*featurizer._means(one)), one.outputs)
        for k, i in enumerate(positions):
            with contextlib.suppress(BadItemError):
                found[i] = asked, some.digest(k)
    items.let_go()
    return found


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
        lengths = None
        if is_of_texts(featurizer):
            shape = (kept.shape[1] // shape[-1], shape[-1])
            lengths = [shape[0]] * len(kept)
        given = torch.from_numpy(kept.reshape(len(kept), *shape))
        device = next(iter(tail.network.parameters())).device
        with torch.inference_mode(), without_autocast():
            found: Rows = tail(given.to(device), lengths).cpu().numpy()
        return found

    return rest
