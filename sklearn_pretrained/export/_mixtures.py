"""Steps and their graphs, on rows between those of the examples → nothing, or an error.

A few examples, or those of one class, don't reach every branch of a tree and every class. Their
rows are mixed, and each step must give what scikit-learn gives for the mixtures too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import ExportError
from ..exported._pipeline import FORMS
from ..process import need
from ._parts import FINE_TUNED, Step, dense
from ._proof import allowed, choose_form, distance
from ._torch import EXTRA, PURPOSE

_FLOAT = 1
"""As ONNX numbers its types."""
_COUNT = 128
_NOISE = 0.1
"""In parts of a column's standard deviation."""
_BORDER = 0.03
"""The share of labels that rounding may turn, where nothing tells how near the border is."""


def check_mixtures(steps: Iterable[tuple[Step, Any]], tolerance: float) -> None:
    """Compare what steps give for mixtures of the rows that they read of the examples.

    Parameters
    ----------
    steps : iterable of (Step, ModelProto)
        Each with the graph of it alone.
    tolerance : float
    """
    for step, graph in steps:
        rows = dense(step.reads.rows)
        reads = [one.type.tensor_type.elem_type for one in graph.graph.input]
        is_plain = rows.dtype.kind == "f" and reads == [_FLOAT]
        if isinstance(step.estimator, FINE_TUNED) or not is_plain:
            continue
        mixed = mixtures(rows.astype(np.float32))
        wanted = _of_scikit_learn(step, mixed)
        found = _of_graph(step.name, graph, mixed) if wanted else []
        near = _near_a_border(wanted)
        for raw, (name, expected) in zip(found, wanted.items(), strict=False):
            if isinstance(raw, list) or isinstance(expected, list):  # of several outputs
                continue
            if raw.size != expected.size:
                raw = FORMS[choose_form(raw, expected, name, step.name)](raw)  # noqa: PLW2901
            got = raw.reshape(expected.shape).astype(expected.dtype)
            far, most = distance(name, got, expected), allowed(name, tolerance)
            if expected.dtype.kind != "f":
                clear = slice(None) if near is None else ~near
                far = distance(name, got[clear], expected[clear]) if expected[clear].size else 0.0
                most = max(most, _BORDER) if near is None else most
            if not far <= most:
                raise ExportError(
                    f"Step {step.name!r} differs: for mixtures of the examples' rows, its {name} "
                    f"is up to {far:.1e} away from the pipeline's, and {most:.1e} is allowed, "
                    "though it agrees for the examples. Nothing was written. If that is good "
                    "enough, pass a larger tolerance; otherwise use another estimator in its place."
                )


def mixtures(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows that lie between two others each, and a little beside.

    Columns of whole numbers have those of one of the two.
    """
    dice = np.random.default_rng(0)
    one, other = rows[dice.integers(len(rows), size=(2, _COUNT))]
    share = dice.uniform(size=(_COUNT, 1))
    spread = np.ma.masked_invalid(rows).std(axis=0).filled(0)
    between = one + share * (other - one) + _NOISE * spread * dice.normal(size=one.shape)
    # Whole numbers may be codes or counts, between which there is nothing.
    is_whole = (np.isnan(rows) | (rows == np.round(rows))).all(axis=0)
    mixed = np.where(is_whole, np.where(share < 1 / 2, one, other), between)
    return np.asarray(mixed, np.float32)


def _of_scikit_learn(step: Step, rows: NDArray[np.float32]) -> dict[str, Any]:
    """Return what the step gives, or nothing where it does not take such rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns that had names, and of numbers out of range
        try:
            given = {
                name: getattr(step.estimator, name.rpartition(".")[2])(rows)
                for name in step.expected
            }
        except Exception:
            return {}
    return {name: one if isinstance(one, list) else dense(one) for name, one in given.items()}


def _of_graph(name: str, graph: Any, rows: NDArray[np.float32]) -> list[Any]:
    runtime = need("onnxruntime", install=EXTRA, purpose=PURPOSE)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    try:
        found: list[Any] = session.run(None, {session.get_inputs()[0].name: rows})
    except Exception as error:
        raise ExportError(
            f"Step {name!r} cannot be run by ONNX Runtime for mixtures of the examples' rows, "
            f"which scikit-learn takes: {type(error).__name__}: {error}. Nothing was written. Use "
            "another estimator in its place."
        ) from error
    return found


def _near_a_border(wanted: dict[str, Any]) -> NDArray[np.bool_] | None:
    """Tell which rows have two classes that are nearly as likely, if that is known."""
    values = wanted.get("predict_proba", wanted.get("decision_function"))
    if not isinstance(values, np.ndarray):
        return None
    labels = wanted.get("predict")
    if isinstance(labels, np.ndarray) and labels.ndim > 1:  # each of which has a border of its own
        values = values - 1 / 2 if "predict_proba" in wanted else values
        return np.asarray((np.abs(values) < _BORDER * np.abs(values).max()).any(axis=1))
    if values.ndim > 1:
        ordered = np.sort(values, axis=1)
        values = ordered[:, -1] - ordered[:, -2]
    return np.asarray(np.abs(values) < _BORDER * np.abs(values).max())
