"""A network's geometry → an ONNX graph, from uint8 images of any size to prepared pixels.

The arithmetic of `exported._resize`, to the bit: weights in double precision, rounded to 16 bits,
and their sums in whole numbers. Two matrix products of 8 bits make one of 16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..exported._resize import rounds_down
from ._operators import Operators

PIXELS, PREPARED = "pixels", "prepared"
_MOST_BITS = 22
_HALF_OF_16_BITS = 1 << 15


def resizing_graph(geometry: Mapping[str, Any], like: Any) -> Any:
    """Build the graph: ``pixels`` (n, height, width, 3) → ``prepared`` (n, 3, crop, crop).

    Parameters
    ----------
    geometry : mapping
        As the preprocessing describes it, and `exported._resize.can_prepare` accepts.
    like : ModelProto
        Whose opset and version of the format it has.
    """
    op = Operators()
    pixels = op.input(PIXELS, "UINT8", ["n", "height", "width", 3])
    resize, crop, down = int(geometry["resize"]), int(geometry["crop"]), rounds_down(geometry)
    size = op.Shape(pixels, start=1, end=3)
    target = op.Div(op.Mul(size, resize), op.ReduceMin(size, keepdims=1))
    planes = op.Transpose(pixels, perm=[0, 3, 1, 2])
    for axis in (1, 0):
        length, wanted = (op.Gather(sizes, axis) for sizes in (size, target))
        places = op.Add(_first_of_crop(op, wanted, crop, down=down), np.arange(crop))
        weights = _weights(op, length, wanted, places, _KERNELS[geometry["interpolation"]])
        planes = _along(op, planes, axis, weights)
    op.output(PREPARED, planes, "UINT8", ["n", 3, crop, crop])
    return op.model("prepare", like)


def _triangle(op: Any, x: Any) -> Any:
    return op.Max(op.Sub(1.0, op.Abs(x)), 0.0)


def _cubic(op: Any, x: Any) -> Any:
    a = -0.5
    x = op.Abs(x)
    near = op.Add(op.Mul(op.Mul(op.Sub(op.Mul(x, a + 2), a + 3), x), x), 1.0)
    far = op.Mul(op.Sub(op.Mul(op.Add(op.Mul(op.Sub(x, 5.0), x), 8.0), x), 4.0), a)
    return op.Where(op.Less(x, 1.0), near, op.Where(op.Less(x, 2.0), far, 0.0))


_KERNELS: dict[str, tuple[Any, float]] = {"bilinear": (_triangle, 1.0), "bicubic": (_cubic, 2.0)}


def _along(op: Any, planes: Any, axis: int, weights: tuple[Any, Any, Any]) -> Any:
    """Resize and crop one axis of (n, 3, height, width), and round to whole numbers."""
    high, low, one = weights
    middle, none = np.uint8(128), np.uint8(0)  # what stands for zero in the upper byte, and else
    if axis == 1:
        upper = op.MatMulInteger(planes, high, none, middle)
        lower = op.MatMulInteger(planes, low, none, none)
    else:
        high, low = (op.Transpose(byte, perm=[1, 0]) for byte in (high, low))
        upper = op.MatMulInteger(high, planes, middle, none)
        lower = op.MatMulInteger(low, planes, none, none)
    total = op.Add(op.Mul(upper, np.int32(256)), lower)
    rounded = op.Div(op.Add(total, op.Div(one, np.int32(2))), one)
    return op.cast(op.Clip(rounded, np.int32(0), np.int32(255)), "UINT8")


def _weights(
    op: Any, length: Any, size: Any, places: Any, kernel: tuple[Any, float]
) -> tuple[Any, Any, Any]:
    """Return the upper and lower byte of each weight (length, places), and what stands for one."""
    weigh, reach = kernel
    scale = op.Div(op.cast(length, "DOUBLE"), op.cast(size, "DOUBLE"))
    widest = op.Max(scale, 1.0)
    support = op.Mul(widest, reach)

    def span(places: Any) -> tuple[Any, Any, Any]:
        """Return the centre of what each place sees, where it begins, and where it ends."""
        centre = op.Mul(scale, op.Add(op.cast(places, "DOUBLE"), 0.5))
        first = op.cast(op.Add(op.Sub(centre, support), 0.5), "INT64")
        end = op.cast(op.Add(op.Add(centre, support), 0.5), "INT64")
        return centre, op.Max(first, 0), op.Min(end, length)

    def seen(sources: Any, centre: Any, first: Any, end: Any) -> Any:
        """Return how much of each source a place sees."""
        inside = op.And(op.GreaterOrEqual(sources, first), op.Less(sources, end))
        distance = op.Add(op.Sub(op.cast(sources, "DOUBLE"), centre), 0.5)
        weights = op.Where(inside, weigh(op, op.Div(distance, widest)), 0.0)
        return op.Div(weights, op.ReduceSum(weights, [0], keepdims=1))

    # The largest weight of all places, those beyond the crop too, decides the precision.
    everywhere = span(op.Range(0, size, 1))
    taps = op.ReduceMax(op.Sub(everywhere[2], everywhere[1]), keepdims=0)
    sources = op.Add(op.Unsqueeze(op.Range(0, taps, 1), [1]), everywhere[1])
    largest = op.ReduceMax(seen(sources, *everywhere), keepdims=0)
    powers = 2.0 ** np.arange(_MOST_BITS + 1)
    fits = op.Less(op.Floor(op.Add(op.Mul(largest, powers[1:]), 0.5)), float(_HALF_OF_16_BITS))
    one = op.Gather(powers, op.ReduceSum(op.cast(fits, "INT64"), [0], keepdims=0))

    weights = seen(op.Unsqueeze(op.Range(0, length, 1), [1]), *span(places))
    is_picture = op.And(op.GreaterOrEqual(places, 0), op.Less(places, size))
    scaled = op.Mul(op.Where(is_picture, weights, 0.0), one)  # beyond the image it is black
    down, up = op.Ceil(op.Sub(scaled, 0.5)), op.Floor(op.Add(scaled, 0.5))
    whole = op.cast(op.Where(op.Less(scaled, 0.0), down, up), "INT32")
    shifted = op.Add(whole, np.int32(_HALF_OF_16_BITS))
    high = op.Div(shifted, np.int32(256))
    low = op.Sub(shifted, op.Mul(high, np.int32(256)))
    return op.cast(high, "UINT8"), op.cast(low, "UINT8"), op.cast(one, "INT32")


def _first_of_crop(op: Any, size: Any, crop: int, *, down: bool) -> Any:
    """Return where the centre begins; in front of the image, where that is smaller."""
    beyond = op.Sub(size, crop)
    half = op.cast(op.Round(op.Div(op.cast(beyond, "DOUBLE"), 2.0)), "INT64")
    missing = op.Div(op.Max(op.Sub(crop, size), 0), 2)
    return op.Where(op.Less(size, crop), op.Neg(missing), op.Div(beyond, 2) if down else half)
