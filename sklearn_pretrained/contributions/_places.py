"""One item's row → the share that each place of an image, or each token, has in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..layers import Layer
from ..recipe import parsed
from ..taps import Layout, pool
from ._reading import ItemReading

Floats = NDArray[np.float64]
_LINEAR = {"avg", "mean", "mean_sqrt_len", "weightedmean"}
_TOLERANCE = 2e-5  # of the row's norm
_MOST_TRIED = 12
_AT_ONCE = 256


class NotASumError(Exception):
    """A row is not a sum over places; the message says why."""


@dataclass(frozen=True)
class Places:
    """The shares of places in a row, which sum to it.

    Parameters
    ----------
    shares : ndarray of shape (n_places, D)
    grid : (int, int) or None
        Rows and columns of places, where they lie in an image.
    layer : str
        The layer that they are read of.
    """

    shares: Floats
    grid: tuple[int, int] | None
    layer: str


def places_of(reading: ItemReading) -> Places:
    """Find what each place adds to a row; that it all sums to the row is proved on it."""
    outputs = reading.road.outputs
    if len(outputs) > 1:
        raise NotASumError("the features are those of several layers")
    ((layer, pooling),) = outputs
    if getattr(reading.featurizer, "augment", None) is not None:
        raise NotASumError("the features are averaged over the image and its mirror image")
    if len(layer.shape) > 1:
        _check_linear(pooling)
        found = _shares(reading, layer, pooling)
        if found is None:
            raise NotASumError("the features are more than the mean over one pass of the network")
        return found
    return _below(reading, layer)


def _check_linear(pooling: str) -> None:
    made = parsed(pooling)
    odd = [mode for mode in made.modes if mode not in _LINEAR]
    if odd or len(made.modes) > 1:
        raise NotASumError(f"pooling={','.join(made.modes)!r} is not a mean over positions")
    if made.has_weights:
        raise NotASumError("trained steps follow the pooling")


def _below(reading: ItemReading, top: Layer) -> Places:
    """Find the map whose mean a vector is: what a network's own pooling reads."""
    width = top.shape[0]
    seen: set[tuple[str, str]] = set()
    layers = [
        layer
        for layer in reading.road.plan.layers.values()
        if len(layer.shape) > 1
        and layer.layout is not None
        and layer.shape[layer.layout.channel - 1] == width
        and math.prod(layer.shape) > width
        and reading.least_cost <= layer.cost <= top.cost
    ]
    for layer in sorted(layers, key=lambda one: -one.cost):
        place = (layer.module, layer.side)
        if place in seen or len(seen) == _MOST_TRIED:
            continue
        seen.add(place)
        found = _shares(reading, layer, "avg")
        if found is not None:
            return found
    raise NotASumError(
        f"layer {top.name!r} is a vector, and not the mean of a map below it (such as a class "
        "token, or the output of a normalisation)"
    )


def _shares(reading: ItemReading, layer: Layer, pooling: str) -> Places | None:
    layout = layer.layout
    assert layout is not None
    whole = np.moveaxis(reading.map(layer), layout.channel - 1, -1)
    flat = whole.reshape(-1, whole.shape[-1])
    weights = _weights(whole.shape[:-1], layout, pooling)
    shares = flat * weights[:, None]
    for step, size in parsed(pooling).steps:
        # The length that a row is divided by is the row's own, for all of its places.
        shares = shares[:, :size] if step == "cut" else shares / np.linalg.norm(shares.sum(0))
    error = np.linalg.norm(shares.sum(0) - reading.row)
    if not error <= _TOLERANCE * np.linalg.norm(reading.row):
        return None
    if hasattr(reading.road.backbone, "pieces"):
        return Places(shares, None, layer.name)
    shares = shares[layout.prefix :]
    shape = whole.shape[:-1]
    grid = (shape[0], shape[1]) if len(shape) == 2 else _square(len(shares))  # noqa: PLR2004
    return Places(shares, grid, layer.name)


def _weights(shape: tuple[int, ...], layout: Layout, pooling: str) -> Floats:
    """Return the weight of each position: what a pooling makes of a one at that position alone."""
    n = math.prod(shape)
    made = parsed(pooling)
    plain = made.modes[0] + (f"[{made.skip}:]" if made.skip else "")
    found = []
    for start in range(0, n, _AT_ONCE):
        ones = torch.zeros(min(_AT_ONCE, n - start), n, dtype=torch.float64)
        ones[:, start:].fill_diagonal_(1)
        ones = ones.reshape(-1, *shape).unsqueeze(layout.channel)
        found.append(pool(ones, plain, layout)[:, 0].numpy())
    return np.concatenate(found)


def _square(n: int) -> tuple[int, int]:
    side = math.isqrt(n)
    if side * side != n:
        raise NotASumError(f"the {n} tokens of the image do not make a square")
    return side, side


def box_of(reading: ItemReading, pixels: NDArray[Any]) -> tuple[float, float, float, float] | None:
    """Find the part of an image that the network sees: left, top, right, bottom, in pixels.

    The preprocessing itself is asked: it is shown ramps from black to white, whose values tell
    where each of its own pixels comes from. None where that is not a plain rectangle.
    """
    height, width = pixels.shape[:2]
    across, down = ((np.arange(n) + 0.5) / n * 255 for n in (width, height))
    ramps = [np.zeros(1), np.full(1, 255.0), across, down[:, None]]
    asked = [
        np.array(np.broadcast_to(ramp.round().astype(np.uint8)[..., None], pixels.shape))
        for ramp in ramps
    ]
    made = reading.road.backbone.prepare(asked)
    if not all(isinstance(one, torch.Tensor) and one.ndim == 3 for one in made):  # noqa: PLR2004
        return None
    black, white, across, down = (one[0].double().numpy() for one in made)
    span = np.where(white == black, np.nan, white - black)
    left, right = _ends(np.nanmedian((across - black) / span, axis=0)) or (np.nan, np.nan)
    top, bottom = _ends(np.nanmedian((down - black) / span, axis=1)) or (np.nan, np.nan)
    box = (left * width, top * height, right * width, bottom * height)
    return box if np.isfinite(box).all() else None


def _ends(values: Floats) -> tuple[float, float] | None:
    """Return where a line through values of pixels begins and ends."""
    x = np.arange(len(values)) + 0.5
    inner = (values > 0.02) & (values < 0.98) & np.isfinite(values)  # noqa: PLR2004
    if inner.sum() < 2:  # noqa: PLR2004
        return None
    slope, start = np.polyfit(x[inner], values[inner], 1)
    if np.abs(start + slope * x[inner] - values[inner]).max() > 0.03:  # noqa: PLR2004
        return None
    return float(start), float(start + slope * len(values))
