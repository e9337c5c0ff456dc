"""An estimator and folds → how well it does, and what it costs: one way to use a network."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._sklearn import number_of_rows, rows_of

_TIMED = 8


@dataclass
class Way:
    """One way to use the network.

    Parameters
    ----------
    name : str
        Such as ``"frozen"`` or ``"train from features.16"``.
    trained : float
        Share of the network's work that lies in what is trained.
    scores : ndarray
        One a fold.
    seconds : float
        To fit, of which what lies in the cache already costs nothing.
    n_bytes : int
        Of the pickled estimator.
    row_seconds : float
        For one row that is not known.
    gain, gain_error, p_value : float
        Over the frozen network, on the same folds, its standard error, and how probable a gain this
        large is by chance.
    curve : dict of int to float
        Mean score by the number of rows that were learned from.
    """

    name: str
    trained: float
    scores: NDArray[np.float64]
    seconds: float
    n_bytes: int
    row_seconds: float
    gain: float = 0.0
    gain_error: float = 0.0
    p_value: float = 1.0
    curve: dict[int, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean score over the folds."""
        return float(self.scores.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean score."""
        return float(self.scores.std(ddof=1) / np.sqrt(len(self.scores)))


class Trial:
    """The same folds for every way."""

    def __init__(
        self, X: Any, y: Any, *, splits: Any, scorer: Any, sizes: Sequence[float], groups: Any
    ) -> None:
        self.X, self.y, self.splits, self.scorer, self.sizes = X, y, splits, scorer, sizes
        self.groups: Any = None if groups is None else np.asarray(groups)

    def way(self, name: str, estimator: Any, share: float) -> Way:
        """Fit and score on each fold."""
        scores, seconds = [], []
        for train, test in self.splits:
            started = time.perf_counter()
            fitted = self._fitted(estimator, train)
            seconds.append(time.perf_counter() - started)
            scores.append(self.scorer(fitted, rows_of(self.X, test), self.y[test]))
        way = Way(
            name, share, np.array(scores), float(np.median(seconds)), len(pickle.dumps(fitted)),
            self._row_seconds(fitted),
        )  # fmt: skip
        for size in self.sizes:
            way.curve |= self._at(size, estimator)
        if way.curve:
            way.curve[len(self.splits[0][0])] = way.mean
        return way

    def _fitted(self, estimator: Any, train: Any) -> Any:
        of_groups = {"groups": self.groups[train]} if self._takes_groups(estimator) else {}
        return clone(estimator).fit(rows_of(self.X, train), self.y[train], **of_groups)

    def _takes_groups(self, estimator: Any) -> bool:
        return self.groups is not None and getattr(estimator, "train_from", None) is not None

    def _at(self, size: float, estimator: Any) -> dict[int, float]:
        """Score with a part of each fold's rows."""
        random = np.random.RandomState(0)
        scores, n = [], 0
        for train, test in self.splits:
            n = max(2, round(size * len(train)))
            part = np.sort(random.permutation(train)[:n])
            fitted = self._fitted(estimator, part)
            scores.append(self.scorer(fitted, rows_of(self.X, test), self.y[test]))
        return {n: float(np.mean(scores))}

    def _row_seconds(self, fitted: Any) -> float:
        """Time rows that no cache knows."""
        one = copy.deepcopy(getattr(fitted, "best_estimator_", fitted))
        one.featurizer_.set_params(cache=None)
        if one.trunk_ is not None:
            one.trunk_.set_params(cache=None)
        some = rows_of(self.X, slice(0, _TIMED))
        one.predict(some)
        started = time.perf_counter()
        one.predict(some)
        return (time.perf_counter() - started) / number_of_rows(some)


def compare(way: Way, frozen: Way, splits: Any) -> None:
    """Test the gain with the correction for folds that share rows."""
    from scipy.stats import t

    gains = way.scores - frozen.scores
    share = np.mean([len(test) / len(train) for train, test in splits])
    way.gain = float(gains.mean())
    way.gain_error = float(np.sqrt((1 / len(gains) + share) * gains.var(ddof=1)))
    if way.gain_error > 0:
        way.p_value = float(t.sf(way.gain / way.gain_error, len(gains) - 1))
