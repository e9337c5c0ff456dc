"""A fitted step → one that gives the same, and that skl2onnx converts."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression


def stand_in(step: Any, *, transforms: bool) -> Any:
    """Return what is converted in place of a step.

    Parameters
    ----------
    step : estimator
    transforms : bool
        Whether its transform is what is read.
    """
    make = _STAND_INS.get((type(step), transforms))
    return step if make is None else make(step)


def _discriminant(step: Any) -> Any:
    """Its probabilities are those of a logistic regression with the same coefficients."""
    made = LogisticRegression()
    made.coef_, made.intercept_, made.classes_ = step.coef_, step.intercept_, step.classes_
    made.n_features_in_ = step.n_features_in_
    return made


def _discriminant_rows(step: Any) -> Any:
    """Its rows are those of a PCA with the same directions."""
    directions = step.scalings_[:, : step._max_components]  # noqa: SLF001  how many it gives
    mean = getattr(step, "xbar_", np.zeros(len(directions)))
    made = PCA(n_components=directions.shape[1])
    made.components_, made.mean_ = directions.T, mean
    made.n_components_, made.n_features_in_ = directions.shape[1], len(directions)
    made.explained_variance_ = np.ones(directions.shape[1])
    return made


def _voting(step: Any) -> Any:
    """How it lays out its rows decides nothing of what it predicts."""
    made = copy.copy(step)
    made.flatten_transform = False
    return made


_STAND_INS: dict[tuple[type, bool], Callable[[Any], Any]] = {
    (LinearDiscriminantAnalysis, False): _discriminant,
    (LinearDiscriminantAnalysis, True): _discriminant_rows,
    (VotingClassifier, False): _voting,
}


@contextmanager
def numbers_for_truths() -> Iterator[None]:
    """Let skl2onnx write the truths that it hands to ONNX, which takes numbers, as numbers.

    The name that is replaced is its own affair. A release without it converts all the same, but
    for trees that treat missing values.
    """
    try:
        container = import_module("skl2onnx.common._container")
        make = container.make_node
    except (ImportError, AttributeError):
        yield
        return

    def make_node(*args: Any, **attributes: Any) -> Any:
        numbered = {name: _numbered(value) for name, value in attributes.items()}
        return make(*args, **numbered)

    with patch.object(container, "make_node", make_node):
        yield


def _numbered(value: Any) -> Any:
    if not isinstance(value, list | tuple | np.ndarray):
        return value
    truths = (bool, np.bool_)
    if not any(isinstance(one, truths) for one in value):
        return value
    return [int(one) for one in value]
