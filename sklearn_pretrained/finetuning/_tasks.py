"""Targets → what training needs of them: columns, a loss, and how good scores are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Classes:
    """Labels 0 … K−1, or one column of zeros and ones for each of several labels.

    Parameters
    ----------
    y : ndarray
    n_classes : int
    """

    def __init__(self, y: NDArray[Any], n_classes: int) -> None:
        self.is_multilabel = y.ndim == 2  # noqa: PLR2004
        self._is_binary = not self.is_multilabel and n_classes == 2  # noqa: PLR2004
        self._one_by_one = self.is_multilabel or self._is_binary
        self.labels = None if self.is_multilabel else y
        if self._one_by_one:
            self.columns = y.reshape(len(y), -1).astype(np.float32)
        else:
            self.columns = np.eye(n_classes, dtype=np.float32)[y]

    def loss(self) -> Callable[..., Any]:
        """Return what scores cost, for torch."""
        from ._objectives import binary_cross_entropy, cross_entropy

        return binary_cross_entropy if self._one_by_one else cross_entropy

    @staticmethod
    def decide(head: Any) -> Callable[[Any], Any]:
        """Return the head's scores as a function of features."""
        if not hasattr(head, "decision_function"):
            raise ValueError(
                f"head={head!r} has no decision_function, so it cannot start what is trained. Use "
                "a linear head, or objective='contrastive'; or put it behind `transform`."
            )
        return head.decision_function

    def scaled(self, coef: Floats, intercept: Floats) -> tuple[Floats, Floats]:
        """Return a head in the units of the columns."""
        return coef, intercept

    @staticmethod
    def unscaled(coef: Floats, intercept: Floats) -> tuple[NDArray[np.float32], ...]:
        """Return a head as scores are computed."""
        return coef.astype(np.float32), intercept.astype(np.float32)

    def hits(self, decided: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which rows are labelled right."""
        right = decided.reshape(len(rows), -1) == self._wanted(rows)
        return right.all(axis=1)

    def from_scores(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Turn scores into labels."""
        if self._one_by_one:
            return (scores > 0).astype(int)
        return scores.argmax(axis=1)

    def _wanted(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        y = self.columns if self.labels is None else self.labels
        return y[rows].reshape(len(rows), -1)

    def unlikeliness(self, head: Any, features: Any, rows: NDArray[np.intp]) -> Floats | None:
        """Return how little probability a head gives to each row's labels, as a logarithm."""
        if not hasattr(head, "predict_proba"):
            return None
        likely = head.predict_proba(features)
        if self._is_binary:
            likely = likely[:, 1:]
        wanted = self.columns[rows]
        given = np.where(wanted > 0, likely, 1 - likely if self._one_by_one else 1.0)
        return -np.log(np.clip(given, 1e-9, 1)).sum(axis=1)

    def score(self, decided: NDArray[Any], rows: NDArray[np.intp], weights: Floats) -> float:
        """Return the share of rows that are labelled right."""
        return float(np.average(self.hits(decided, rows), weights=weights))

    def likeness(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float32]:
        """Tell how alike rows are: 1 for the same label."""
        same = (self.columns[first] == self.columns[second]).all(axis=1)
        return same.astype(np.float32)


class Numbers:
    """Targets that are numbers, one column or several.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, K)
    used : ndarray of int
        The rows that are learned from, whose units count.
    """

    labels = None

    def __init__(self, y: NDArray[Any], used: NDArray[np.intp]) -> None:
        self._y = y.reshape(len(y), -1).astype(np.float64)
        seen = self._y[used]
        self._mean, self._scale = seen.mean(axis=0), seen.std(axis=0)
        # Equal numbers have a deviation too, of how the mean was rounded.
        self._scale[self._scale <= 8 * np.spacing(np.abs(seen).max(axis=0))] = 1.0
        self.columns = ((self._y - self._mean) / self._scale).astype(np.float32)

    @staticmethod
    def loss() -> Callable[..., Any]:
        """Return what predictions cost, for torch."""
        from ._objectives import squared_error

        return squared_error

    @staticmethod
    def decide(head: Any) -> Callable[[Any], Any]:
        """Return the head's predictions as a function of features."""
        return head.predict

    def scaled(self, coef: Floats, intercept: Floats) -> tuple[Floats, Floats]:
        """Return a head in the units of the columns."""
        return coef / self._scale[:, None], (intercept - self._mean) / self._scale

    def unscaled(self, coef: Floats, intercept: Floats) -> tuple[Floats, Floats]:
        """Return a head in the units of the targets."""
        return coef * self._scale[:, None], intercept * self._scale + self._mean

    def from_scores(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Turn scores into predictions."""
        return scores * self._scale + self._mean

    def hits(self, decided: NDArray[Any], rows: NDArray[np.intp]) -> None:
        """Return nothing: a number is hardly ever right, only near."""

    def unlikeliness(self, head: Any, features: Any, rows: NDArray[np.intp]) -> None:
        """Return nothing: the score tells as much."""

    def score(self, decided: NDArray[Any], rows: NDArray[np.intp], weights: Floats) -> float:
        """Return the coefficient of determination, averaged over the columns."""
        wanted = self._y[rows]
        missed = np.average((decided.reshape(wanted.shape) - wanted) ** 2, axis=0, weights=weights)
        mean = np.average(wanted, axis=0, weights=weights)
        spread = np.average((wanted - mean) ** 2, axis=0, weights=weights)
        return float(np.mean(1 - missed / np.where(spread > 0, spread, 1.0)))

    def likeness(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float32]:
        """Tell how alike rows are: 1 for equal numbers, 0 from two deviations apart."""
        apart = np.abs(self.columns[first] - self.columns[second]).mean(axis=1)
        return np.clip(1 - apart / 2, 0, 1).astype(np.float32)
