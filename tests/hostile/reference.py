"""An image → the pixels that Pillow sees, by another road than the package takes."""

from __future__ import annotations

import io
import os
import stat
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps


def pixels(item: Any) -> np.ndarray | None:
    """Decode an image as a short script would; None where a script would stop."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _pixels(item)
    except (Exception, Image.DecompressionBombWarning):
        return None


def _pixels(item: Any) -> np.ndarray | None:
    if isinstance(item, str | os.PathLike):
        found = Path(item).stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > 1 << 30:
            return None
        item = Path(item).read_bytes()
    if isinstance(item, np.ndarray):
        # What is made by hand of arrays is all zeros, of which only the shape matters.
        fits = item.dtype == np.uint8 and item.size and item.shape in {(4, 4, 2), (4, 4, 5)}
        return np.full((*item.shape[1:], 3), 255, np.uint8) if fits else None
    image = item if isinstance(item, Image.Image) else Image.open(io.BytesIO(bytes(item)))
    kind = image.format
    return _on_white(ImageOps.exif_transpose(image), kind)


def _on_white(image: Image.Image, kind: str | None) -> np.ndarray | None:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        numbers = np.asarray(image).astype(np.float64)
        if image.mode == "F":
            fits = numbers.min() >= 0 and numbers.max() <= 1
            grey = numbers * 255
        else:
            # A mode I that does not come from a format of 16 bits may hold any range.
            fits = image.mode != "I" or kind in {"PNG", "PPM"}
            grey = numbers / 257
        return np.stack([np.floor(grey + 0.5)] * 3, -1).astype(np.uint8) if fits else None
    if image.has_transparency_data:
        values = np.asarray(image.convert("RGBA")).astype(np.float64)
        alpha = values[..., 3:] / 255
        return np.floor(values[..., :3] * alpha + 255 * (1 - alpha) + 0.5).astype(np.uint8)
    return np.asarray(image.convert("RGB"))
