"""Rows with labels, and the prompts' logits → what the labels add to them, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

Floats = NDArray[np.float64]
_PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
_WEIGHTS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


@dataclass(frozen=True)
class Learned:
    """What labelled rows add to the logits: ``weight * (rows @ coef.T + intercept)``.

    Parameters
    ----------
    coef : ndarray of shape (n_classes, D)
    intercept : ndarray of shape (n_classes,)
    weight : float
        0 where the prompts alone did best.
    """

    coef: Floats
    intercept: Floats
    weight: float


def learn(rows: Floats, y: NDArray[np.intp], logits: Floats, weight: float | str) -> Learned:
    """Fit a ridge regression of the labels on rows; leave-one-out decides how much it counts.

    Parameters
    ----------
    rows : ndarray of shape (N, D)
        Of length 1.
    y : ndarray of shape (N,)
        Numbers of classes.
    logits : ndarray of shape (N, n_classes)
        What the prompts say of the rows.
    weight : float or "auto"
        How much the labels count; "auto" is what gives left-out rows the smallest log loss.
    """
    targets = np.eye(logits.shape[1])[y]
    centre, mean = rows.mean(0), targets.mean(0)
    left, sizes, right = np.linalg.svd(rows - centre, full_matrices=False)
    seen = left.T @ (targets - mean)
    weights: Sequence[float] = _WEIGHTS if weight == "auto" else (float(weight),)
    best, chosen = np.inf, (_PENALTIES[-1], weights[0])
    for penalty in _PENALTIES:
        shrunk = sizes**2 / (sizes**2 + penalty)
        fitted = mean + left @ (shrunk[:, None] * seen)
        leverage = 1 / len(rows) + (left**2) @ shrunk
        # A row's own influence on its prediction is taken out: no fit for each row is needed.
        alone = targets - (targets - fitted) / np.maximum(1 - leverage, 1e-6)[:, None]
        for tried in weights:
            loss = -log_softmax(logits + tried * alone, axis=1)[np.arange(len(y)), y].mean()
            if loss < best - 1e-12:  # the smaller weight, where both are as good
                best, chosen = loss, (penalty, tried)
    penalty, found = chosen
    coef = ((sizes / (sizes**2 + penalty))[:, None] * seen).T @ right
    return Learned(coef, mean - coef @ centre, found)
