"""A classifier whose labels skl2onnx gets wrong → its ONNX graph, with scikit-learn's labels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier

from .._sklearn import positive_label
from ._nodes import Nodes
from ._steps import graph_of_step

_THRESHOLDS = (FixedThresholdClassifier, TunedThresholdClassifierCV)
_HALF = 0.5


def labelled(step: Any) -> Callable[..., Any]:
    """Return what makes the graph of a step.

    Parameters
    ----------
    step : estimator
    """
    inside = next((one for one in _within(step) if isinstance(one, _THRESHOLDS)), None)
    if inside is not None:
        return _refused
    return next((make for kinds, make in _MAKERS if isinstance(step, kinds)), graph_of_step)


def _refused(name: str, step: Any, *_: Any, **__: Any) -> Any:
    """Raise: skl2onnx would label by one half."""
    raise TypeError(
        f"Step {name!r} ({type(step).__name__}) holds a classifier with a threshold, which is "
        "exported as a step of its own only. Use the classifier within it in its place."
    )


def _within(step: Any) -> Iterator[Any]:
    """Yield the estimators that a step was made of."""
    held = step.get_params().values() if isinstance(step, BaseEstimator) else ()
    return (one for one in held if isinstance(one, BaseEstimator))


def _by_threshold(name: str, step: Any, ports: Sequence[Any], like: Any, **_: Any) -> Any:
    """Label by the probability of one class."""
    classifier = step.estimator_
    asked = step.response_method
    if asked == "decision_function" or not hasattr(classifier, "predict_proba"):
        raise TypeError(
            f"Step {name!r} ({type(step).__name__}) labels by decision values, and files hold a "
            "threshold of probabilities. Use a classifier that has them, or "
            "response_method='predict_proba'."
        )
    threshold = getattr(step, "best_threshold_", getattr(step, "threshold", None))
    threshold = _HALF if threshold == "auto" else threshold
    classes = classifier.classes_
    label = positive_label(step)
    positive = 1 if label is None else int(np.flatnonzero(classes == label)[0])
    made = graph_of_step(name, classifier, ports, like)
    graph = Nodes(name, made)
    likely = graph.node(
        "Gather", made.graph.output[1].name, graph.value(np.array(positive)), axis=1
    )
    is_it = graph.node("GreaterOrEqual", likely, graph.value(np.float32(threshold)))
    # The class of the threshold stands last.
    ordered = np.array([classes[1 - positive], classes[positive]], classes.dtype)
    which = graph.node("Cast", is_it, to=graph.INT64)
    graph.give(0, *graph.named(which, ordered))
    return made


def _by_number(name: str, step: Any, ports: Sequence[Any], like: Any, **_: Any) -> Any:
    """Let skl2onnx, whose labels are numbers here, find which class it is."""
    numbered = copy.copy(step)
    numbered.classes_ = np.arange(len(step.classes_))
    made = graph_of_step(name, numbered, ports, like)
    graph = Nodes(name, made)
    graph.give(0, *graph.named(made.graph.output[0].name, step.classes_))
    return made


_MAKERS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (_THRESHOLDS, _by_threshold),
    (OneVsOneClassifier, _by_number),
)
