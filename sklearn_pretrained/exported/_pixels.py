"""X of images → their pixels as they are, for a file that resizes and crops them itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs import read_images
from ._each import each
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
        form = self._form
        items = read_images(X, image_shape=form["image_shape"], value_range=form["value_range"])
        return each(items, self._one)

    def _one(self, pixels: Pixels) -> Pixels:
        refuse_elongated(pixels, int(self._form["geometry"]["resize"]))
        return pixels

    def size(self, sample: Any) -> Any:
        """Return height and width."""
        return sample.shape[:2]

    def feed(self, samples: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """Stack them."""
        return {"pixels": np.stack(samples)}
