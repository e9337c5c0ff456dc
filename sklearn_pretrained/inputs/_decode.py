"""An image file's bytes, or a PIL image → pixels (H, W, 3) of uint8, as a person sees them."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..exceptions import BadItemError
from ._arrays import scale

Pixels = NDArray[np.uint8]


def decode(data: Any, value_range: tuple[float, float] | None) -> Pixels:
    """Decode an image file; its first frame, upright, transparent pixels on white."""
    if len(data) == 0:
        raise BadItemError("could not be read as an image: it holds no bytes")
    return _safely(lambda: _open(data), value_range)


def upright(image: Image.Image, value_range: tuple[float, float] | None) -> Pixels:
    """Turn a PIL image into pixels without changing it."""
    return _safely(lambda: _load(image).copy(), value_range)


def _open(data: Any) -> Image.Image:
    return _load(Image.open(io.BytesIO(data)))


def _load(image: Image.Image) -> Image.Image:
    """Read pixels; what would be run to get them is refused."""
    if image.format == "EPS" and getattr(image, "tile", None):
        raise BadItemError(
            "is a PostScript file, a program that Pillow would run; convert it to PNG first"
        )
    image.load()
    return image


def _safely(source: Any, value_range: tuple[float, float] | None) -> Pixels:
    """Turn whatever Pillow raises or warns of into an error of this one item."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = source()
            if 0 in image.size:
                raise BadItemError(f"has no pixels: its size is {image.size}")
            return to_rgb(_stand_up(image), value_range)
    except (BadItemError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BadItemError(
            f"is too large to be decoded safely: {error} If you trust it, shrink it first, or "
            "raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except Exception as error:
        said = str(error).replace("<_io.BytesIO object at ", "<").partition(" <")[0]
        raise BadItemError(
            f"could not be read as an image: {said or type(error).__name__}"
        ) from error


def _stand_up(image: Image.Image) -> Image.Image:
    """Apply the orientation that a camera noted; the image is ours to change."""
    ImageOps.exif_transpose(image, in_place=True)
    return image


def to_rgb(image: Image.Image, value_range: tuple[float, float] | None) -> Pixels:
    """Bring any of Pillow's modes into RGB.

    Colour profiles are ignored, as all networks' training ignored them.
    """
    mode = image.mode
    if mode in {"I", "F"} or mode.startswith("I;"):
        return _grey(scale(_deep(image), value_range))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _deep(image: Image.Image) -> NDArray[Any]:
    """Return grey values of more than 8 bits, in a type that says their range."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    values = np.asarray(image)
    if image.mode == "I" and image.format in {"PNG", "PPM"}:  # both hold at most 16 bits
        return values.astype(np.uint16)
    return values


def _grey(values: Pixels) -> Pixels:
    return np.ascontiguousarray(np.broadcast_to(values[..., None], (*values.shape, 3)))
