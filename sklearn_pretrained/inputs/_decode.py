"""An image file's bytes, or a PIL image → pixels (H, W, 3) of uint8, as a person sees them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..exceptions import BadItemError
from ..process import quiet
from ._arrays import scale

Pixels = NDArray[np.uint8]
_MOST = 255


def decode(data: Any, value_range: tuple[float, float] | None) -> Pixels:
    """Decode an image file; its first frame, upright, transparent pixels on white."""
    if len(data) == 0:
        raise BadItemError("could not be read as an image: it holds no bytes")
    return _safely(lambda: _open(data), value_range, is_ours=True)


def upright(image: Image.Image, value_range: tuple[float, float] | None) -> Pixels:
    """Turn a PIL image into pixels without changing it."""
    return _safely(lambda: _load(image), value_range, is_ours=False)


def _open(data: Any) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    most = Image.MAX_IMAGE_PIXELS  # Pillow only warns of as many, and raises at twice as many
    if most is not None and image.width * image.height > most:
        raise Image.DecompressionBombError(
            f"Image size ({image.width * image.height} pixels) exceeds limit of {most} pixels."
        )
    return _load(image)


def _load(image: Image.Image) -> Image.Image:
    """Read pixels; what would be run to get them is refused."""
    if image.format == "EPS" and getattr(image, "tile", None):
        raise BadItemError(
            "is a PostScript file, which Pillow would run as a program; convert it to PNG first"
        )
    image.load()
    return image


@quiet
def _safely(
    source: Callable[[], Image.Image], value_range: tuple[float, float] | None, *, is_ours: bool
) -> Pixels:
    """Turn whatever Pillow raises into an error of this one item."""
    try:
        image = source()
        if 0 in image.size:
            raise BadItemError(f"has no pixels: its size is {image.size}")
        kind = image.format  # which a copy does not have
        image = image if is_ours else image.copy()
        ImageOps.exif_transpose(image, in_place=True)
        return to_rgb(image, kind, value_range)
    except (BadItemError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise BadItemError(
            f"is too large to be decoded safely: {error} If you trust it, shrink it first, or "
            "raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except Exception as error:
        said = str(error).replace("<_io.BytesIO object at ", "<").partition(" <")[0]
        raise BadItemError(
            f"could not be read as an image: {said or type(error).__name__}"
        ) from error


def to_rgb(image: Image.Image, kind: str | None, value_range: tuple[float, float] | None) -> Pixels:
    """Bring any of Pillow's modes into RGB.

    Colour profiles are ignored, as all networks' training ignored them.

    Parameters
    ----------
    image : Image
    kind : str or None
        The format of its file.
    value_range : tuple of float, optional
    """
    clear = image.info.get("transparency")
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        values = _deep(image, kind)
        grey = scale(values, value_range)
        if isinstance(clear, int):
            grey = np.where(values == clear, np.uint8(255), grey)
        return np.ascontiguousarray(np.broadcast_to(grey[..., None], (*grey.shape, 3)))
    if isinstance(clear, tuple) and max(clear) > _MOST:
        # A PNG of 16 bits a channel, of which Pillow keeps the higher 8 of the pixels alone.
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _deep(image: Image.Image, kind: str | None) -> NDArray[Any]:
    """Return grey values of more than 8 bits, in a type that says their range."""
    values = np.asarray(image)
    # Of the formats that Pillow reads as 32 bits, these hold at most 16.
    is_16_bits = image.mode.startswith("I;16") or (image.mode == "I" and kind in {"PNG", "PPM"})
    return values.astype(np.uint16) if is_16_bits else values
