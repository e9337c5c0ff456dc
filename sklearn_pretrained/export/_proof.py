"""An opened file, and what a pipeline gives for examples → how far each step moves, or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..exceptions import ExportError
from ..exported import ExportedPipeline
from ..exported._pipeline import FORMS, forms
from ..exported._reading import reader
from ._agreement import agreement, answer_of, refuse_below
from ._decoding import BYTES
from ._inputs import Input
from ._resizing import PIXELS

_SIZES = ((1, 8), (3, 9), (16, None))
"""Sizes of a batch, each with how many of the examples are run in it."""
_BEHIND_A_PREDICTOR = 10
"""How many times further a predictor's numbers may move than the rows that it reads."""
Facts = dict[str, Any]


class Runs(Protocol):
    """What runs a file over prepared items."""

    def outputs(
        self, samples: Sequence[Any], *asked: str, batch_size: int
    ) -> dict[str, NDArray[Any]]:
        """Compute the outputs that are asked for, in batches of a size."""


def check_preparation(inputs: Sequence[Input], examples: Any) -> list[Facts]:
    """Compare samples that the file's reader prepares with the library's."""
    told = []
    for one in inputs:
        if one.form["kind"] == "arrays" and one.form["name"] != "rows":
            continue  # the file reads what the user prepared
        if one.form["kind"] in {PIXELS, BYTES}:
            continue  # the graph prepares it
        read = reader(one.form, {"": one.tokenizer}).samples(one.read(examples))
        moved = [_apart(a, b) for a, b in zip(read, one.samples, strict=True)]
        worst = int(np.argmax(moved))
        name = f"preparation of {one.prefix[:-1]}" if one.prefix else "preparation"
        if moved[worst] > 1:
            raise ExportError(
                f"The {name} differs: the file prepares example {worst} differently from the "
                f"library, by up to {moved[worst]:g}. Nothing was written."
            )
        told.append({"step": name, "largest": moved[worst], "allowed": 1})
    return told


def _apart(ours: Any, theirs: Any) -> float:
    if isinstance(ours, Mapping):
        return 0.0 if ours == theirs else np.inf
    if isinstance(ours, tuple):  # of a table
        return max(map(_apart, ours, theirs))
    if ours.dtype == object:
        return 0.0 if (ours == theirs).all() else np.inf
    if ours.shape != theirs.shape:
        return np.inf
    return float(np.nanmax(np.abs(ours.astype(np.float64) - theirs), initial=0))


def choose_form(tensor: NDArray[Any], expected: NDArray[Any], name: str, step: str) -> str:
    """Find how a tensor is read, so that it is what scikit-learn's method gives."""
    known = forms(tensor, expected)
    if not known:
        raise ExportError(
            f"Step {step!r} gives {name} of shape {tensor.shape[1:]} in the file, and "
            f"{expected.shape[1:]} in the pipeline. Nothing was written."
        )
    if len(known) == 1:
        return known[0]
    return min(known, key=lambda form: float(np.abs(FORMS[form](tensor) - expected).max()))


def check_step(
    runtime: Runs,
    samples: Sequence[Any],
    step: str,
    expected: Mapping[str, NDArray[Any]],
    tolerance: float,
) -> list[Facts]:
    """Compare what one step gives, alone and in batches, with what the pipeline gave.

    Parameters
    ----------
    runtime : Runs
    samples : sequence
        The examples, prepared.
    step : str
        For the report.
    expected : mapping of str to ndarray
        By the names of the file's outputs.
    tolerance : float
    """
    farthest = dict.fromkeys(expected, 0.0)
    for size, count in _SIZES:
        found = runtime.outputs(samples[:count], *expected, batch_size=size)
        for name, wanted in expected.items():
            far = distance(name, laid_out(found[name]), wanted[:count])
            most = allowed(name, tolerance)
            if not far <= most:
                raise ExportError(
                    f"Step {step!r} differs: in batches of {size}, its {name} is up to {far:.1e} "
                    f"away from the pipeline's, and {most:.1e} is allowed. Nothing was written. "
                    "The steps before it agree. If that is good enough, pass a larger tolerance; "
                    "otherwise use another estimator in its place."
                )
            farthest[name] = max(farthest[name], far)
    return [
        {
            "step": step,
            "output": name,
            "largest": far,
            "allowed": allowed(name, tolerance) if np.isfinite(tolerance) else None,
        }
        for name, far in farthest.items()
    ]


def check_weights(
    runtime: ExportedPipeline,
    samples: Sequence[Any],
    expected: Mapping[str, NDArray[Any]],
    least: float,
) -> list[Facts]:
    """Compare what a file with rounded weights gives with what the pipeline does.

    Parameters
    ----------
    runtime : ExportedPipeline
    samples : sequence
        The examples, prepared.
    expected : mapping of str to ndarray
        By the names of the file's outputs.
    least : float
        The agreement that is asked for.
    """
    answer = answer_of(runtime)
    wanted = {answer: [*expected.values()][-1], **expected}
    raw = runtime.outputs(samples, *wanted)
    found = {name: laid_out(raw[name]).reshape(one.shape) for name, one in wanted.items()}
    agreed = agreement(answer, found[answer], wanted[answer])
    instead = "Use weights of more bits, pass the targets as y, so that the score decides"
    refuse_below(least, agreed, "Smaller weights change answers", instead)
    far = {name: distance(name, found[name], one) for name, one in wanted.items()}
    told: Facts = {"step": "weights", "output": answer, "largest": far.pop(answer)}
    return [
        *(
            {"step": "weights", "output": name, "largest": one, "allowed": None}
            for name, one in far.items()
        ),
        {**told, "allowed": 1 - least if least else None, "agreement": agreed},
    ]


_PREDICTED = {"predict", "predict_proba", "decision_function"}


def laid_out(found: Any) -> NDArray[Any]:
    """Put several outputs of one method side by side."""
    return np.stack(found, axis=1) if isinstance(found, list) else np.asarray(found)


def allowed(name: str, tolerance: float) -> float:
    """Return how far an output may move."""
    return tolerance * (_BEHIND_A_PREDICTOR if name in _PREDICTED else 1)


def distance(name: str, found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return the largest distance between rows: as probabilities, labels, or to their norm."""
    if wanted.dtype.kind != "f":
        return float(np.mean(found != wanted))
    gaps = np.isnan(found) & np.isnan(wanted)  # which a scaler, for one, lets pass
    found, wanted = np.where(gaps, 0, found), np.where(gaps, 0, wanted)
    far = (found.astype(np.float64) - wanted).reshape(len(wanted), -1)
    if name == "predict_proba":
        return float(np.abs(far).max())
    norms = np.linalg.norm(wanted.astype(np.float64).reshape(len(wanted), -1), axis=1)
    # A row near zero is one by chance: behind a centring, or at the border between classes.
    norms = np.maximum(norms, np.median(norms) or norms.mean() or 1.0)
    return float((np.linalg.norm(far, axis=1) / norms).max())
