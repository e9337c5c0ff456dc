"""Uint8 pixels (H, W, 3) and a network's geometry → prepared pixels (3, crop, crop), by NumPy.

The same as torch's antialiased resizing of uint8 tensors, to the bit: along one axis after the
other, with weights rounded to 16 bits, and rounded to whole numbers in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError

Pixels = NDArray[np.uint8]
_MOST_PIXELS = 1 << 26


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    a, x = -0.5, np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))  # noqa: PLR2004


_FILTERS: dict[str, tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}


def can_prepare(geometry: Mapping[str, Any]) -> bool:
    """Say whether images of any size can be prepared as this preprocessing does."""
    return (
        geometry.get("kind") == "resize-crop-normalise"
        and geometry.get("resizer") == "fast"
        and geometry.get("interpolation") in _FILTERS
        and geometry.get("mode", "center") == "center"
        and geometry.get("width_crop", geometry["crop"]) == geometry["crop"]
        and geometry.get("shape") is None  # both sides are resized, whatever the image's
        and list(geometry.get("cut") or [geometry["crop"]] * 2) == [geometry["crop"]] * 2
        and not geometry.get("swapped", False)
        and not geometry.get("as_floats", False)
    )


def prepare(image: Pixels, geometry: Mapping[str, Any]) -> Pixels:
    """Resize the shorter side, and cut out the centre."""
    resize, crop = int(geometry["resize"]), int(geometry["crop"])
    height, width = image.shape[:2]
    refuse_elongated(image, resize)
    short = min(height, width)
    size = [resize if side == short else int(resize * side / short) for side in (height, width)]
    if size[1] != width:
        image = _along(image, 1, size[1], geometry["interpolation"])
    if size[0] != height:
        image = _along(image, 0, size[0], geometry["interpolation"])
    centre = _centre(image, crop, down=rounds_down(geometry))
    return np.ascontiguousarray(centre.transpose(2, 0, 1))


def rounds_down(geometry: Mapping[str, Any]) -> bool:
    """Say how the place of the centre is rounded: transformers, which names a cut, rounds down."""
    return geometry.get("cut") is not None


def refuse_elongated(image: Pixels, resize: int) -> None:
    """Raise where the resized image would exhaust the memory."""
    height, width = image.shape[:2]
    if resize**2 * (max(height, width) / min(height, width)) > _MOST_PIXELS:
        raise BadItemError(
            f"is too elongated ({width}×{height} pixels): resizing its shorter side to "
            f"{resize} pixels would exhaust the memory; crop it first"
        )


def _centre(image: Pixels, crop: int, *, down: bool) -> Pixels:
    missing = [max(0, crop - side) for side in image.shape[:2]]
    if any(missing):
        image = np.pad(image, [*((gap // 2, (gap + 1) // 2) for gap in missing), (0, 0)])
    spare = [side - crop for side in image.shape[:2]]
    top, left = (beyond // 2 if down else round(beyond / 2.0) for beyond in spare)
    return image[top : top + crop, left : left + crop]


def _along(image: Pixels, axis: int, size: int, interpolation: str) -> Pixels:
    """Resize one axis."""
    first, weights, precision = _weights(image.shape[axis], size, interpolation)
    last = image.shape[axis] - 1
    shape = [1, 1, 1]
    shape[axis] = size
    total = np.full((), 1 << (precision - 1), np.int32)
    for k in range(weights.shape[1]):
        part = image.take(np.minimum(first + k, last), axis).astype(np.int32)
        total = total + part * weights[:, k].reshape(shape)
    return np.clip(total >> precision, 0, 255).astype(np.uint8)


def _weights(
    length: int, size: int, interpolation: str
) -> tuple[NDArray[np.int64], NDArray[np.int32], int]:
    """Return for each place its first source, the weights from there on, and their precision."""
    kernel, reach = _FILTERS[interpolation]
    scale = length / size
    widest = max(scale, 1.0)
    support = reach * widest
    centre = scale * (np.arange(size) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + support + 0.5).astype(np.int64), length) - first
    taps = np.arange(count.max())
    weights = kernel((taps + first[:, None] - centre[:, None] + 0.5) / widest)
    weights = np.where(taps < count[:, None], weights, 0)
    weights /= weights.sum(1, keepdims=True)
    precision = 0
    while precision < 22 and int(0.5 + weights.max() * (1 << (precision + 1))) < 1 << 15:  # noqa: PLR2004
        precision += 1
    scaled = weights * (1 << precision)
    rounded = np.where(scaled < 0, np.ceil(scaled - 0.5), np.floor(scaled + 0.5))
    return first, rounded.astype(np.int32), precision
