"""A backbone and a layer as users write it → the tail; where there is none, the layers nearby."""

from __future__ import annotations

from typing import Any

import torch

from ..backbones import Backbone
from ..exceptions import LayerError
from ..layers import Layer, Plan, plan
from ._tail import Tail
from ._watched import Outputs, WatchedNetwork

_NEAR = 3  # layers that are named instead of one that cannot be


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
        able = _nearest(watched, made, layer)
        instead = ", ".join(map(repr, able)) or "none of its neighbours"
        raise LayerError(
            f"{backbone.name} cannot be run from {layer.name!r} on: {error}. The nearest layers "
            f"that can: {instead}."
        ) from error


def _nearest(watched: WatchedNetwork, made: Plan, layer: Layer) -> list[str]:
    """Find main stages near a layer that have a tail."""
    by_nearness = sorted(made.stages, key=lambda name: abs(made.layers[name].cost - layer.cost))
    found = []
    for name in by_nearness[: 2 * _NEAR]:
        try:
            watched.tail(made.layers[name])
        except LayerError:
            continue
        found.append(name)
    return found[:_NEAR]
