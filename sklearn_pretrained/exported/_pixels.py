"""X of images → their pixels as they are, for a file that resizes and crops them itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._images import read_pixels
from ._resize import Pixels, refuse_elongated


class WholePictures:
    """Images of any kind and size; those of a size share a batch.

    Parameters
    ----------
    form : mapping
        What the file says of its input.
    """

    def __init__(self, form: Mapping[str, Any]) -> None:
        self._form = form

    def samples(self, X: Any) -> list[Any]:
        """Decode."""
        return read_pixels(X, self._form, self._one)

    def _one(self, pixels: Pixels) -> Pixels:
        refuse_elongated(pixels, int(self._form["geometry"]["resize"]))
        return pixels

    def size(self, sample: Any) -> Any:
        """Return height and width."""
        return sample.shape[:2]

    def feed(self, samples: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """Stack them."""
        return {"pixels": np.stack(samples)}


class Files(WholePictures):
    """Images for a file that decodes itself.

    It is given their pixels as a PNG, which all decoders read alike, and bytes as they are.
    """

    def size(self, sample: Any) -> Any:  # noqa: ARG002  each is run alone
        """Return the same for all, since none share a batch."""
        return 1

    def feed(self, samples: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """Encode one."""
        (sample,) = samples
        if not isinstance(sample, bytes):
            from PIL import Image

            buffer = io.BytesIO()
            Image.fromarray(sample).save(buffer, "PNG", compress_level=0)
            sample = buffer.getvalue()
        return {"bytes": np.frombuffer(sample, np.uint8)}
