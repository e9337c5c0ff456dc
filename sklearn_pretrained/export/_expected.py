"""A fitted pipeline and examples → what each step gives, which a file has to give too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._featurizer import BaseFeaturizer

_VALUES = ("predict_proba", "decision_function")


@dataclass
class Step:
    """One step behind the network.

    Parameters
    ----------
    name : str
    estimator : estimator
    width : int
        Columns that it reads.
    expected : dict of str to ndarray
        What its methods give for the examples.
    """

    name: str
    estimator: Any
    width: int
    expected: dict[str, NDArray[Any]]


def parts(pipeline: Any) -> tuple[BaseFeaturizer, list[tuple[str, Any]]]:
    """Take a pipeline apart: the featurizer, and the steps behind it by name."""
    steps = pipeline.steps if isinstance(pipeline, Pipeline) else [("featurizer", pipeline)]
    steps = [(name, step) for name, step in steps if step not in {None, "passthrough"}]
    if not steps or not isinstance(steps[0][1], BaseFeaturizer):
        what = type(steps[0][1] if steps else pipeline).__name__
        raise TypeError(
            "export_onnx takes a fitted featurizer of this package, or a Pipeline that begins with "
            f"one; got {what}. A ColumnTransformer or FeatureUnion of featurizers cannot be "
            "exported yet: export each of its pipelines."
        )
    for _, step in steps:
        check_is_fitted(step)
    return steps[0][1], steps[1:]


def expected_of(steps: list[tuple[str, Any]], features: NDArray[np.float32]) -> Iterator[Step]:
    """Yield the steps behind the network, each with what it gives for the examples."""
    rows: Any = features
    for i, (name, step) in enumerate(steps):
        width = rows.shape[1]
        if i == len(steps) - 1 and hasattr(step, "predict"):
            yield Step(name, step, width, _predictions(step, rows))
        else:
            rows = _dense(step.transform(rows))
            yield Step(name, step, width, {"transform": rows})


def _predictions(step: Any, rows: Any) -> dict[str, NDArray[Any]]:
    found = {"predict": np.asarray(step.predict(rows))}
    method = next((method for method in _VALUES if hasattr(step, method)), None)
    values = getattr(step, method)(rows) if method is not None else None
    if isinstance(values, np.ndarray):  # several outputs give a list, which is not exported
        found[str(method)] = values
    return found


def _dense(rows: Any) -> NDArray[Any]:
    dense = rows.toarray() if hasattr(rows, "toarray") else rows
    return np.asarray(dense)
