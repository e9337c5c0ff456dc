"""X of images, and what a file says of them → a sample of each, or an error in the file's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..inputs import read_images
from ._each import each


def read_pixels(X: Any, form: Mapping[str, Any], one: Callable[[Any], Any]) -> list[Any]:
    """Read the pixels of every image, and prepare them.

    What the featurizer lets its user choose is settled in a file, so that its advice would lead
    nowhere.

    Parameters
    ----------
    X : array-like of images
    form : mapping
        What the file says of its input.
    one : callable
        Pixels → sample.
    """
    shape = form["image_shape"]
    if shape is None and isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "buif":  # noqa: PLR2004
        raise ValueError(
            f"X is a table of shape {X.shape}, and this file reads images. If each row is a "
            "flattened image, pass X.reshape(-1, height, width); if X is one image, pass [X]."
        )
    items = read_images(X, image_shape=shape, value_range=form["value_range"])
    return each(items, one, _reads(form["value_range"]))


def _reads(value_range: Any) -> str:
    """Say which numbers a file takes, and what to do with others."""
    if value_range is None:
        return (
            "This file reads uint8 numbers from 0 to 255, uint16 numbers from 0 to 65535, and "
            "floats from 0 to 1: bring the numbers of all of X to one of these, or export a "
            "pipeline whose featurizer has another value_range."
        )
    low, high = value_range
    return (
        f"This file reads numbers from {low:g} to {high:g}, as its featurizer's value_range says: "
        "bring all of X to that range, or export a pipeline with another one."
    )
