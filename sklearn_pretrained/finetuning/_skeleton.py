"""What both estimators share: trunk, head on frozen features, training, and what is kept of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._sklearn import (
    ColumnsOfFeaturizer,
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
    number_of_rows,
    require_y,
    rows_of,
)
from ._aside import aside, rows, way

Floats = NDArray[np.float64]
_AT_ONCE = 256  # rows that are predicted at a time, so that memory stays bounded
_OF_THIS_PROCESS = ("_tail", "_below")


class BaseFineTuned(ColumnsOfFeaturizer, TransformerMixin, BaseEstimator):
    """A featurizer with a head, of which the upper layers are trained."""

    _below: str | None = None
    head_: Any

    _parameter_constraints: dict[str, Any] = {
        "featurizer": [HasMethods(["fit", "transform"])],
        "train_from": [str, Integral, Interval(Real, 0, 1, closed="right"), None],
        "head": [HasMethods(["fit", "predict"]), None],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "augment": "no_validation",
        "record_dtype": [StrOptions({"float32", "float16"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["boolean"],
    }

    # -- what a subclass says

    @abstractmethod
    def _targets(self, y: Any) -> Any:
        """Check y, and return it as the head takes it."""

    @abstractmethod
    def _plain_head(self) -> Any:
        """Return the head that None stands for."""

    @abstractmethod
    def _task(self, y: Any, used: NDArray[np.intp]) -> Any:
        """Return what training needs to know of the targets of the rows that are used."""

    # -- fit

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Fit the head on frozen features, then train it with the upper layers.

        Parameters
        ----------
        X : array-like of items
            As the featurizer takes them.
        y : array-like
            What is to be predicted.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are trained on together, or held out together.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        require_y(self, y)
        self._forget()  # what fails below leaves nothing of an earlier fit
        own = clone(self.featurizer)
        if "output" in own.get_params():
            own.set_params(output="numpy")  # tails and heads are given arrays
        self.featurizer_ = own.fit(X)
        self._check_views()
        y = self._targets(y)
        check_consistent_length(X, y, groups)
        weights = self._weights(X, y, sample_weight)
        groups = None if groups is None else np.asarray(groups)
        random = check_random_state(self.random_state)
        # What is rounded is reached one way only, so that there is one row.
        is_rounded = self.record_dtype != "float32"
        self._below = None if is_rounded else aside(self.featurizer_, X, len(y))
        parts = None
        if self.train_from is not None:
            from ._network import cut

            parts = cut(self.featurizer_, self.train_from, X, record_dtype=self.record_dtype)
        if parts is None:
            features = self._frozen(X)
            readable: Any = np.isfinite(features).all(axis=1)
            used, y, weights = self._learnable(y, weights, readable)
            self.head_ = self._fitted_head(features[used], y[used], weights[used])
            return self
        from ._fit import fit_tail

        fit_tail(self, X, y, weights=weights, groups=groups, parts=parts, random=random)
        return self

    def _check_views(self) -> None:
        """Refuse what would make other pixels of an image in every epoch."""
        if self.augment is None:
            return
        if self.augment != "flip":
            raise ValueError(
                f"augment={self.augment!r} would make new pixels in every epoch, but the layers up "
                "to train_from are computed once for each image. Use augment='flip', of which both "
                "views are computed once, or augment=None."
            )
        if not hasattr(self.featurizer, "augment"):
            raise ValueError(
                f"augment='flip' mirrors images, but {type(self.featurizer).__name__} does not "
                "read images. Use augment=None."
            )

    def _forget(self) -> None:
        self.trunk_: Any = None
        self._tail: Any = None
        self.head_ = None
        self.head_coef_: Any = None
        self.head_intercept_: Any = None
        self.changed_: dict[str, NDArray[np.float32]] = {}
        self.history_: list[dict[str, float]] = []
        self.best_epoch_ = 0
        self.improvement_ = 0.0
        self.train_from_: Any = None

    def _weights(self, X: Any, y: Any, sample_weight: Any) -> Floats:  # noqa: ARG002
        return check_sample_weight(sample_weight, X, ensure_non_negative=True)

    def _learnable(
        self, y: Any, weights: Floats, readable: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], Any, Floats]:
        """Choose the rows that can be learned from; the others are as if they were not there."""
        used = np.flatnonzero(readable & (weights > 0))
        if len(used) == 0:
            raise ValueError(
                "There is no row to learn from: the items of all rows could not be read, or their "
                "weights are 0."
            )
        return used, y, weights

    def _fitted_head(self, features: Any, y: Any, weights: Floats) -> Any:
        head = clone(self.head) if self.head is not None else self._plain_head()
        if (weights == 1).all():
            return head.fit(features, y)
        if not has_fit_parameter(head, "sample_weight"):
            raise ValueError(f"head={head!r} takes no sample_weight; leave weights out.")
        return head.fit(features, y, sample_weight=weights)

    # -- use

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Compute the tuned features, such as another estimator may read.

        Parameters
        ----------
        X : array-like of items
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The features, float32; those of the featurizer where nothing was trained.
        """
        return self._tuned(X)

    def _tuned(self, X: Any) -> NDArray[np.float32]:
        """Compute the features as an array, whatever container `transform` returns."""
        check_is_fitted(self)
        if self.trunk_ is None:
            return self._frozen(X)
        return np.concatenate(list(self._features(X)))

    def _frozen(self, X: Any) -> NDArray[np.float32]:
        return rows(self.featurizer_, X, way(self.featurizer_, self._below))

    def _features(self, X: Any) -> Iterator[NDArray[np.float32]]:
        """Compute tuned features, a part of X at a time."""
        from ._network import tuned_rows

        tail, n = self._tail_here(), number_of_rows(X)
        road = way(self.trunk_, self._below)
        for i in range(0, max(n, 1), _AT_ONCE):
            part = X if n <= _AT_ONCE else rows_of(X, slice(i, i + _AT_ONCE))
            yield tuned_rows(tail, rows(self.trunk_, part, road))

    def _scores(self, X: Any) -> NDArray[Any]:
        """Compute what the trained head says."""
        coef, intercept = self.head_coef_.T, self.head_intercept_
        return np.concatenate([part @ coef + intercept for part in self._features(X)])

    def _is_trained(self) -> bool:
        """Tell whether the head was trained with the layers."""
        check_is_fitted(self)
        return self.head_coef_ is not None

    def _tail_here(self) -> Any:
        """Return the tail with its tuned numbers, made anew in a process that opened a file."""
        if self._tail is None:
            from ._network import load_tensors, make_tail

            tail = make_tail(self.featurizer_, self.train_from_)
            load_tensors(tail, self.changed_)
            self._tail = tail
        return self._tail

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns of `transform`, as the featurizer does.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of X's columns.

        Returns
        -------
        ndarray of str
            One name for each column.
        """
        check_is_fitted(self)
        return self.featurizer_.get_feature_names_out(input_features)

    def __sklearn_is_fitted__(self) -> bool:
        return any(getattr(self, name, None) is not None for name in ("head_", "head_coef_"))

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in _OF_THIS_PROCESS:
            if name in state:
                state[name] = None
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = self.featurizer.__sklearn_tags__().input_tags
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.required = True
        return tags
