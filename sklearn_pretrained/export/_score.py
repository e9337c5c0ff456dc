"""Targets of the examples, and a file → its score beside the pipeline's, or an error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.metrics import r2_score

from ..exceptions import ExportError
from ..exported import ExportedPipeline
from ._parts import Part

_ROUNDING = 1e-9
Facts = dict[str, Any]


def targets_of(y: Any, least: float | None, last: Part, count: int) -> NDArray[Any] | None:
    """Check y, and return it as an array.

    Parameters
    ----------
    y : array-like or None
    least : float or None
        The score that is asked for.
    last : Part
        Of the pipeline.
    count : int
        How many examples there are.
    """
    if y is None:
        if least is not None:
            raise ValueError("min_score compares with the targets of the examples: pass them as y.")
        return None
    if "predict" not in last.expected:
        raise ValueError(
            "y holds what is to be predicted, and this pipeline ends in rows. Leave y out, or "
            "export the pipeline with its predictor."
        )
    targets = np.asarray(y)
    if len(targets) != count:
        raise ValueError(f"y has {len(targets)} targets, and examples has {count} items.")
    return targets


def check_score(
    runtime: ExportedPipeline,
    samples: Any,
    last: Part,
    targets: NDArray[Any],
    *,
    least: float | None,
    lost: float,
) -> Facts:
    """Score the file as scikit-learn's ``score`` does: the accuracy, or R² of regressors.

    Parameters
    ----------
    runtime : ExportedPipeline
    samples : sequence
        The examples, prepared.
    last : Part
        Of the pipeline.
    targets : ndarray
    least : float or None
        The score that is asked for.
    lost : float
        How much less than the pipeline's it may be, where none is asked for.
    """
    wanted = last.expected["predict"]
    found = np.asarray(runtime.outputs(samples, "predict")["predict"]).reshape(wanted.shape)
    numbers = is_regressor(getattr(last, "estimator", None))
    score = r2_score if numbers else _accuracy
    ours, theirs = float(score(targets, found)), float(score(targets, wanted))
    most = lost if least is None else theirs - least
    if not theirs - ours <= most + _ROUNDING:
        name, told = ("R²", "{:.3f}") if numbers else ("accuracy", "{:.1%}")
        if least is None:
            asked = f"it may be {told.format(lost)} less (1 - min_agreement)"
            instead = "say by min_score what is enough"
        else:
            asked, instead = f"min_score={least:g} is asked for", "ask for less"
        raise ExportError(
            f"On the examples the {name} of the file is {told.format(ours)}, that of the pipeline "
            f"is {told.format(theirs)}, and {asked}. Nothing was written. Use weights of more "
            f"bits, or {instead}."
        )
    return {
        "step": "score",
        "output": "predict",
        "largest": abs(theirs - ours),
        "allowed": max(0.0, most),
        "score": ours,
        "score_of_pipeline": theirs,
        "examples": len(targets),
    }


def _accuracy(targets: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the share of items of which every label is right."""
    if (targets.dtype.kind in "US") != (labels.dtype.kind in "US") and "O" not in (
        targets.dtype.kind + labels.dtype.kind
    ):
        raise ValueError(
            f"y holds {targets.ravel()[:3].tolist()}, …, and the pipeline predicts labels of "
            f"another kind, such as {labels.ravel()[:3].tolist()}. Pass targets of the kind that "
            "it was fitted on."
        )
    return float((labels == targets).reshape(len(targets), -1).all(axis=1).mean())
