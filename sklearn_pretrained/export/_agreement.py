"""What a file and a pipeline answer → how far they agree, from 0 to 1, or an error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import ExportError
from ..exported import ExportedPipeline


def agreement(name: str, found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return the share of equal labels, or of the variance of numbers (R²) that is the same.

    Parameters
    ----------
    name : str
        The output. Of several targets that are predicted, the one that agrees least counts.
    found, wanted : ndarray
    """
    if wanted.dtype.kind != "f":
        return float((found == wanted).reshape(len(wanted), -1).all(axis=1).mean())
    axis = 0 if name == "predict" else None
    lost = ((found.astype(np.float64) - wanted) ** 2).sum(axis=axis)
    spread = ((wanted - wanted.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=axis)
    # Of what never varies, nothing is the same where anything differs.
    agreed = 1 - lost / np.where(spread > 0, spread, np.maximum(lost, np.finfo(np.float64).tiny))
    return max(0.0, float(np.min(agreed)))


def answer_of(runtime: ExportedPipeline) -> str:
    """Name the output that the agreement is about: what the pipeline predicts, or its rows."""
    outputs = runtime.facts_["outputs"]
    return next((one for one in ("predict", "transform") if one in outputs), next(iter(outputs)))


def refuse_below(least: float, agreed: float, why: str, instead: str) -> None:
    """Raise where the agreement is less than what was asked for."""
    if not agreed >= least:
        raise ExportError(
            f"{why}: the answers for the examples agree to {agreed:.1%}, and "
            f"min_agreement={least:g} is asked for. Nothing was written. {instead}, or accept "
            "less by min_agreement."
        )
