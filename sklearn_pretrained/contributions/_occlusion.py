"""An estimator and one item → how its score falls as each place is hidden, in batches."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

Floats = NDArray[np.float64]
_AT_ONCE = 64
Score = Callable[[list[Any]], Floats]


def occluded_image(
    score: Score, pixels: NDArray[np.uint8], places: int, *, verbose: bool
) -> tuple[Floats, Floats]:
    """Hide one rectangle of an image at a time behind the image's mean colour.

    Returns
    -------
    scores : ndarray of shape (1, K)
        Of the whole image.
    falls : ndarray of shape (rows, columns, K)
        What the scores lose by each rectangle.
    """
    height, width = pixels.shape[:2]
    rows, across = (np.linspace(0, n, min(places, n) + 1).astype(int) for n in (height, width))
    grey = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)

    def hidden() -> Iterator[Any]:
        for top, bottom in itertools.pairwise(rows):
            for left, right in itertools.pairwise(across):
                twin = pixels.copy()
                twin[top:bottom, left:right] = grey
                yield _image(twin)

    n = (len(rows) - 1) * (len(across) - 1)
    whole = score([_image(pixels)])
    falls = whole - _in_batches(score, hidden(), n, verbose=verbose)
    return whole, falls.reshape(len(rows) - 1, len(across) - 1, -1)


def occluded_text(
    score: Score, text: Any, *, verbose: bool
) -> tuple[Floats, Floats, Sequence[str]]:
    """Leave out one word of a text, or of a pair of texts, at a time.

    Returns
    -------
    scores : ndarray of shape (1, K)
        Of the whole text.
    falls : ndarray of shape (words, K)
        What the scores lose by each word.
    words : list of str
    """
    parts = text if isinstance(text, tuple) else (text,)
    spans = [(k, m.span()) for k, part in enumerate(parts) for m in re.finditer(r"\S+", part)]
    if not spans:
        raise ValueError("The text has no words that could be left out.")

    def without() -> Iterator[Any]:
        for k, (start, end) in spans:
            left = tuple(
                part[:start].rstrip() + part[end:] if i == k else part
                for i, part in enumerate(parts)
            )
            yield left if isinstance(text, tuple) else left[0]

    whole = score([text])
    falls = whole - _in_batches(score, without(), len(spans), verbose=verbose)
    return whole, falls, [parts[k][start:end] for k, (start, end) in spans]


def _image(pixels: NDArray[np.uint8]) -> Any:
    from PIL import Image  # whose black and white are known, whatever the featurizer's value_range

    return Image.fromarray(pixels)


def _in_batches(score: Score, items: Iterator[Any], n: int, *, verbose: bool) -> Floats:
    found, batch = [], []
    with tqdm(total=n, desc="occlusion", unit="place", disable=not verbose) as bar:
        for k, item in enumerate(items, start=1):
            batch.append(item)
            if len(batch) == _AT_ONCE or k == n:
                found.append(score(batch))
                bar.update(len(batch))
                batch = []
    return np.concatenate(found)
