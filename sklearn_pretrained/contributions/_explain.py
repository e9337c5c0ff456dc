"""An estimator, an item and a class → what a `ContributionDisplay` is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..inspection._items import first_featurizer
from ._estimator import Explained, explained
from ._linear import columns, linear
from ._occlusion import occluded_image, occluded_text
from ._places import NotASumError, Places, box_of, places_of
from ._reading import ItemReading


def exact(estimator: Any, item: Any, class_: Any) -> dict[str, Any]:
    """Find the exact contribution of each place, or say why there is none."""
    parts = explained(estimator)
    if parts.reader is None or parts.head is None:
        raise _approximate("the estimator is not one featurizer with a head behind it")
    reading = _reading(parts, item)
    try:
        places = places_of(reading)
    except NotASumError as error:
        raise _approximate(str(error)) from error
    found = linear(parts.head, reading.row)
    if found is None:
        raise _approximate("the head is not linear in the features")
    coef, constant = found
    named, k, sign = parts.class_(class_, columns(parts.head(reading.row[None])))
    values = sign * (places.shares @ coef[k])
    of_rest = sign * float(constant[k])
    made = {"constant": of_rest, "decision": float(values.sum()) + of_rest, "class_": named}
    if places.grid is None:
        return {**made, "contributions": values, "words": _words(reading, places)}
    pixels = reading.content()
    box = box_of(reading, pixels)
    return {**made, "contributions": values.reshape(places.grid), "pixels": pixels, "box": box}


def occlusion(
    estimator: Any, item: Any, class_: Any, n_places: int, *, verbose: bool
) -> dict[str, Any]:
    """Find how the score falls as each place is hidden."""
    parts = explained(estimator)
    featurizer = first_featurizer(parts.whole)
    if featurizer is None:
        raise ValueError("method='occlusion' needs one of this package's featurizers.")
    content = featurizer._read([item], reset=False).load(0)  # noqa: SLF001  one of us
    if isinstance(content, np.ndarray):
        if getattr(featurizer, "image_shape", None) is not None or content.ndim != 3:  # noqa: PLR2004
            raise ValueError(
                "method='occlusion' hides places of images and words of texts; rows of a table "
                "have neither. Pass images, and leave image_shape out."
            )
        whole, falls = occluded_image(parts.scores, content, n_places, verbose=verbose)
        made: dict[str, Any] = {"pixels": content}
    else:
        whole, falls, words = occluded_text(parts.scores, content, verbose=verbose)
        made = {"words": words}
    named, k, sign = parts.class_(class_, whole)
    score = sign * float(whole[0, k])
    return {
        **made, "contributions": sign * falls[..., k], "constant": np.nan, "decision": score,
        "class_": named,
    }  # fmt: skip


def _reading(parts: Explained, item: Any) -> ItemReading:
    reading = ItemReading(parts.reader, item)
    if not np.isfinite(reading.row).all():
        raise ValueError(
            f"The item cannot be explained, since its row is not finite: "
            f"{next(iter(reading.featurizer.bad_items_.values()), 'the network gives NaN')}."
        )
    return reading


def _words(reading: ItemReading, places: Places) -> list[str]:
    pieces = reading.road.backbone.pieces(reading.content())
    names = [piece.text for piece in pieces]
    # Some encoders read padding as a part of every text.
    return names + ["[PAD]"] * (len(places.shares) - len(names))


def _approximate(why: str) -> ValueError:
    return ValueError(
        f"Contributions would be an approximation: {why}. Pass method='occlusion', which hides one "
        "place at a time, or use a linear head over pooling='avg' (images) or 'mean' (texts)."
    )
