"""A numeric image of any shape and type → pixels (H, W, 3) of uint8.

Two rules, so that nothing is guessed from what one image happens to hold:

- The type says the range: 0 to 255 for uint8, 0 to 65535 for uint16, 0 to 1 for floats and bools.
  Other integers need ``value_range``.
- The shape says the axes: (H, W), (H, W, C) or (C, H, W), where C is 1, 3 or 4. A shape that
  could be read both ways is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError

CHANNELS = (1, 3, 4)
_NORMALISED = 4.0  # standard deviations


class OutsideRangeError(BadItemError):
    """The range of an image's numbers is another one, or unknown.

    Parameters
    ----------
    what : str
        What is wrong.
    advice : str
        What to do, where the estimator is at hand.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what, advice)
        self.what = what

    def __str__(self) -> str:
        return "; ".join(self.args)


def scale(values: NDArray[Any], value_range: tuple[float, float] | None) -> NDArray[np.uint8]:
    """Bring numbers to 0 … 255, rounded to the nearest."""
    if value_range is None:
        if values.dtype == np.uint8:
            return values
        if values.dtype == np.bool_:
            return values.astype(np.uint8) * np.uint8(255)
        if values.dtype == np.uint16:
            return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        if values.dtype.kind != "f":
            raise OutsideRangeError(
                f"holds {values.dtype} numbers, whose range is not known",
                "pass value_range=(low, high), the values of black and white in all of X",
            )
    low, high = (0.0, 1.0) if value_range is None else map(float, value_range)
    if values.size == 0:
        return values.astype(np.uint8)
    least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise BadItemError("contains NaN or infinity")
    if least < low or most > high:
        advice = (
            _advice(least, most) if value_range is None else "pass a value_range that holds all"
        )
        raise OutsideRangeError(
            f"holds {values.dtype} numbers from {least:g} to {most:g}, outside {low:g} to {high:g}",
            advice,
        )
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return np.floor(scaled + 0.5).astype(np.uint8)


def _advice(least: float, most: float) -> str:
    """Say what to do about floats outside 0 to 1, by the range that they seem to have."""
    for low, high in ((-1, 1), (0, 255), (0, 65535)):
        if low <= least and most <= high:
            return (
                f"if black is {low} and white is {high} in all of X, pass value_range=({low}, "
                f"{high})"
            )
    if least >= -_NORMALISED and most <= _NORMALISED:
        return (
            "they look as if they were normalised, which the network's own preprocessing does: "
            "pass the images as they were before"
        )
    return "pass value_range=(low, high), what black and white are in all of X"


def orient(array: NDArray[Any]) -> NDArray[Any]:
    """Bring (H, W), (H, W, C) or (C, H, W) into (H, W, C)."""
    shape = array.shape
    if array.ndim == 2:  # noqa: PLR2004
        return array[..., None]
    if array.ndim != 3:  # noqa: PLR2004
        raise BadItemError(f"has shape {shape}; an image has shape (H, W), (H, W, C) or (C, H, W)")
    first, last = shape[0] in CHANNELS, shape[2] in CHANNELS
    if first and last:
        raise BadItemError(
            f"has shape {shape}, which could be (H, W, C) or (C, H, W); pass a PIL image "
            "(PIL.Image.fromarray), which is unambiguous"
        )
    if last:
        return array
    if first:
        return np.moveaxis(array, 0, 2)
    raise BadItemError(
        f"has shape {shape}, in which neither the first nor the last axis can be the channels "
        "(1 grey, 3 RGB, 4 RGBA)"
    )


def to_pixels(array: NDArray[Any], value_range: tuple[float, float] | None) -> NDArray[np.uint8]:
    """Bring a numeric image to RGB; transparent pixels are shown on white."""
    if array.size == 0:
        raise BadItemError(f"has no pixels: its shape is {array.shape}")
    pixels = scale(orient(array), value_range)
    channels = pixels.shape[2]
    if channels == 1:
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    elif channels == 4:  # noqa: PLR2004
        from PIL import Image

        image = Image.fromarray(np.ascontiguousarray(pixels), "RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        pixels = np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    return np.ascontiguousarray(pixels)
