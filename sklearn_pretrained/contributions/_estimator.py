"""A fitted estimator → what reads items, the head behind it, and which score is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._featurizer import BaseFeaturizer
from ..finetuning._skeleton import BaseFineTuned
from ._linear import columns


@dataclass(frozen=True)
class Explained:
    """A fitted estimator, taken apart.

    Parameters
    ----------
    whole : estimator
        Takes items.
    reader : featurizer, fine-tuned estimator or None
        What turns items into rows; None where that is more than one step.
    head : callable or None
        Rows → scores; None where nothing stands behind the reader.
    """

    whole: Any
    reader: Any
    head: Callable[[Any], Any] | None

    def scores(self, items: Any) -> Any:
        """Score items."""
        return columns(scoring(self.whole)(items))

    def class_(self, asked: Any, scores: Any) -> tuple[Any, int, float]:
        """Return the class, its column, and the sign that it has there; None is the likeliest."""
        classes = getattr(self.whole, "classes_", None)
        if is_regressor(self.whole) or classes is None:
            index = int(asked or 0)
            if not 0 <= index < scores.shape[1]:
                raise ValueError(
                    f"class_={asked!r} is not the number of a target; there are {scores.shape[1]}."
                )
            return (asked if asked is not None or scores.shape[1] > 1 else None), index, 1.0
        names = list(classes)
        if asked is None:
            k = int(scores[0].argmax()) if scores.shape[1] > 1 else int(scores[0, 0] > 0)
            asked = names[k]
        if asked not in names:
            raise ValueError(f"class_={asked!r} is not one of the classes {names}.")
        k = names.index(asked)
        # Of two classes there is one score, which is the second one's.
        return (names[k], k, 1.0) if scores.shape[1] > 1 else (names[k], 0, 1.0 if k else -1.0)


def scoring(estimator: Any) -> Callable[[Any], Any]:
    """Return what scores items: decisions, else probabilities, else what is predicted."""
    for name in ("decision_function", "predict_proba", "predict"):
        if hasattr(estimator, name):
            return getattr(estimator, name)
    raise ValueError(
        f"{type(estimator).__name__} has no predictor; pass a pipeline that ends with one."
    )


def explained(estimator: Any) -> Explained:
    """Take a fitted estimator apart: a pipeline, a fine-tuned one, or a search over them."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    check_is_fitted(estimator)
    if isinstance(estimator, BaseFineTuned):
        return Explained(estimator, estimator, _tuned_head(estimator))
    if not isinstance(estimator, Pipeline):
        raise TypeError(
            "ContributionDisplay explains a pipeline that begins with a featurizer, a fine-tuned "
            f"estimator, or a search over one of these; got {type(estimator).__name__}."
        )
    steps = [(name, step) for name, step in estimator.steps if step not in {None, "passthrough"}]
    reader, rest = steps[0][1], steps[1:]
    if isinstance(reader, BaseFineTuned) and not rest:
        return Explained(estimator, reader, _tuned_head(reader))
    if not isinstance(reader, BaseFeaturizer | BaseFineTuned) or not rest:
        return Explained(estimator, None, None)
    if getattr(reader, "output", "numpy") != "numpy":
        raise ValueError(
            "The head was fitted on torch tensors, which cannot be explained yet. Fit the pipeline "
            "with output='numpy'; the features are the same."
        )
    return Explained(estimator, reader, _named(Pipeline(rest)))


def _tuned_head(tuned: Any) -> Callable[[Any], Any]:
    if tuned.head_ is not None:
        return scoring(tuned.head_)
    return lambda rows: rows @ tuned.head_coef_.T + tuned.head_intercept_


def _named(head: Any) -> Callable[[Any], Any]:
    """Give a head that learned the names of columns rows with these names."""
    score = scoring(head)
    names = getattr(head, "feature_names_in_", None)
    if names is None:
        return score
    import pandas as pd

    return lambda rows: score(pd.DataFrame(rows, columns=np.asarray(names)))
