"""A fitted estimator and X → the featurizer that reads X, its rows, and small images or texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._featurizer import BaseFeaturizer

SIZE = 64  # pixels of a thumbnail's longer side
_LETTERS = 200
Shown = NDArray[np.uint8] | str | None


def first_featurizer(estimator: Any) -> BaseFeaturizer | None:
    """Find the featurizer that reads an estimator's items, in pipelines and unions."""
    for one in _parts(estimator):
        if isinstance(one, BaseFeaturizer):
            return one
    return None


def _parts(estimator: Any) -> Iterable[Any]:
    yield from (estimator, getattr(estimator, "featurizer_", None))
    inner = getattr(estimator, "steps", None) or getattr(estimator, "transformer_list", None) or []
    for _, step in inner:
        yield from _parts(step)


def features(estimator: Any, X: Any) -> NDArray[Any]:
    """Compute rows: what stands before the predictor of a fitted pipeline, or a transformer."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline) and not hasattr(estimator[-1], "transform"):
        estimator = estimator[:-1]
    return np.asarray(estimator.transform(X))


def thumbnails(estimator: Any, X: Any, which: Iterable[int]) -> dict[int, Shown]:
    """Make small images or short texts of some items, as the estimator's featurizer reads X."""
    featurizer = first_featurizer(getattr(estimator, "best_estimator_", estimator))
    if featurizer is None:
        return {}
    items = featurizer._read(X, reset=False)  # noqa: SLF001  one of us
    return {int(i): small(items.load(int(i))) for i in which}


def small(item: Any) -> Shown:
    """Make a small image or a short text of one item; None of what is neither.

    A string is an image where it is the path of a file.
    """
    if isinstance(item, tuple) and all(isinstance(part, str) for part in item):
        item = " / ".join(item)
    if isinstance(item, str) and not (len(item) < _LETTERS and Path(item).is_file()):
        return " ".join(item[:_LETTERS].split())
    if isinstance(item, np.ndarray) and item.ndim < 2:  # noqa: PLR2004  a row of numbers
        return None
    from ..inputs import read_images

    return _thumbnail(read_images([item]).load(0))


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((SIZE, SIZE))
    return np.asarray(image)


def short(text: str, letters: int) -> str:
    """Cut a text where it is longer."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
