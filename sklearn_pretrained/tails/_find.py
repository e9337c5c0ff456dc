"""A backbone and a layer as users write it → the tail; where there is none, the layers nearby."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from ..backbones import Backbone
from ..exceptions import LayerError
from ..layers import Layer, Plan, plan
from ._tail import Tail
from ._watched import Outputs, WatchedNetwork

_NEAR = 3  # layers that are named instead of one that cannot be
_TRIED = 12


def tail_of(backbone: Backbone, asked: Any, outputs: Outputs, *, device: torch.device) -> Tail:
    """Return the tail of a backbone's network above a layer.

    Parameters
    ----------
    backbone : Backbone
    asked : str, int or float
        The layer, as featurizers take it.
    outputs : sequence of (Layer, str)
        What the tail gives.
    device : torch.device
    """
    made = plan(backbone)
    (layer,) = made.resolve(asked)
    watched = WatchedNetwork(backbone, outputs, device)
    try:
        return watched.tail(layer)
    except LayerError as error:
        able = nearest(watched, made, layer)
        instead = ", ".join(map(repr, able)) or "none of its neighbours"
        raise LayerError(
            f"{backbone.name} cannot be run from {layer.name!r} on: {error}. The nearest layers "
            f"that can: {instead}."
        ) from error


def nearest(watched: WatchedNetwork, made: Plan, layer: Layer) -> list[str]:
    """Find main stages near a layer that have a tail; where none has, other layers."""
    others = [name for name in made.layers if name not in made.stages]
    return _able(watched, made, layer, made.stages) or _able(watched, made, layer, others)


def _able(watched: WatchedNetwork, made: Plan, layer: Layer, names: Collection[str]) -> list[str]:
    by_nearness = sorted(names, key=lambda name: abs(made.layers[name].cost - layer.cost))
    found: list[str] = []
    for name in by_nearness[:_TRIED]:
        try:
            watched.tail(made.layers[name])
        except LayerError:
            continue
        found.append(name)
        if len(found) == _NEAR:
            break
    return found
