"""A fitted featurizer or pipeline → what a task carries, opened once in each worker process."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._outputs import key
from .._sklearn import in_container
from .._tally import Tally
from ..cache._cache import MemoryCache, resolve_cache
from ..inputs import Some
from ..inputs._contents import path_of
from ..process import need, remembered
from ._results import COLUMNS, Kind, dense, kind_of


class Answers(NamedTuple):
    """What a worker found for some items.

    Parameters
    ----------
    values : ndarray
        Of the items that could be read, in their order.
    there : ndarray of bool
        Which items these are.
    reasons : list of str or None
        Why each of the others could not be read.
    """

    values: NDArray[Any]
    there: NDArray[np.bool_]
    reasons: list[str | None]


_READING = ("value_range", "image_shape", "row_shape_")
"""What says how items are read, besides a recipe."""

_NUMBERS = "biuf"
"""Kinds of types that rows are made of: texts are not parsed, and no imaginary part is lost."""


class Shipped:
    """A fitted estimator, sealed: a recipe of kilobytes, and no network.

    Parameters
    ----------
    estimator : featurizer or Pipeline
        Fitted.
    method : {"transform", "predict", "predict_proba"}
        What is asked of it.

    Attributes
    ----------
    kind : Kind
        What each item gets.
    recipe : str
        What decides the values, the same in every process.
    """

    def __init__(self, estimator: Any, method: str) -> None:
        if method not in COLUMNS:
            raise ValueError(f"method must be one of {', '.join(COLUMNS)}, got {method!r}.")
        if not hasattr(estimator, method):
            raise TypeError(f"{type(estimator).__name__} has no method {method!r}.")
        check_is_fitted(estimator)
        first, rest = _parted(estimator)
        if first is None:
            raise TypeError(
                "An engine takes a fitted featurizer of this package, or a Pipeline that begins "
                f"with one, got {type(estimator).__name__}."
            )
        if first.pooling == "none":
            raise ValueError(
                "An engine takes one vector for each item, but pooling='none' keeps a layer's "
                "shape. Use another pooling."
            )
        self.method = method
        self._sealed = _pickler().dumps(_for_workers(estimator, first))
        # Of the process, and not of the estimator: steps are given what they were fitted on.
        self._container = get_config()["transform_output"]
        one_row = np.ones((1, first.n_features_out_), np.float32)
        self.kind = (
            Kind(first.n_features_out_, np.dtype(np.float32))
            if rest is None
            else kind_of(rest, method, in_container(first, one_row))
        )
        road = first.road()
        outputs = [key(output) for output in road.outputs]
        read = [getattr(first, name, None) for name in _READING]
        container = f"{self._container} {vars(first).get('_sklearn_output_config')}"
        behind = None if rest is None else f"{_told(rest)} {container}"
        decides = f"{road.recipe} {outputs} {read} {method} {behind}"
        self.recipe = hashlib.sha256(decides.encode()).hexdigest()

    def __dask_tokenize__(self) -> str:
        return self.recipe

    def __call__(self, X: Any) -> Answers:
        """Compute what is asked for some items."""
        n = len(X)
        values: Any = np.empty((0, *self.kind.shape), self.kind.dtype)
        if n == 0:
            return Answers(values, np.empty(0, bool), [])
        first, rest = _parted(_opened(self._sealed))
        rows, errors = _rows(first, X)
        there = np.array([i not in errors for i in range(n)])
        if rest is None:
            values = rows[there]
        elif there.any():
            with config_context(transform_output=self._container):
                values = dense(getattr(rest, self.method)(in_container(first, rows[there])))
            if not self.kind.holds(values):
                raise TypeError(
                    f"{self.method} gave values of type {values.dtype} and shape "
                    f"{values.shape[1:]} for an item, but {self.kind.dtype} and "
                    f"{self.kind.shape} were expected. Its results must have one type and one "
                    "shape, and the feature names or classes of the last step must tell them."
                )
        return Answers(values, there, [errors.get(i) for i in range(n)])


def _rows(featurizer: Any, X: Any) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Take the road of `transform`; what could not be read is told by its path."""
    own = copy.copy(featurizer)  # threads of a worker share what was opened
    road = own.road()
    misfits: dict[int, str] = {}
    if hasattr(featurizer, "row_shape_"):
        X, misfits = _even(X, featurizer.row_shape_)
    items = own._read(X, reset=False)  # noqa: SLF001  as transform does
    # Where an item stands in its batch says nothing.
    of_texts = hasattr(featurizer, "max_length")  # a text is not to be copied into its reason
    named = Some(items, range(len(items)), [_called(item, of_texts=of_texts) for item in X])
    tally = Tally(named, raises=False)
    rows = road.rows(named, *own._means(road), tally)  # noqa: SLF001
    return rows, tally.bad.settle() | misfits


def _even(X: Sequence[Any], shape: tuple[int, ...]) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Put rows of numbers below each other, NaN in place of those that have another shape."""
    rows = np.full((len(X), *shape), np.nan, np.float32)
    reasons = {}
    for i, item in enumerate(X):
        try:
            row = np.asarray(item)
            if row.dtype == object:  # as scikit-learn does: numbers of Python, and None for a gap
                row = row.astype(np.float64)
        except (TypeError, ValueError) as error:
            reasons[i] = f"The item could not be read as numbers: {error}"
            continue
        if item is None:
            reasons[i] = "The item is missing"
        elif row.dtype.kind not in _NUMBERS:
            reasons[i] = f"The item could not be read as real numbers: it holds {row.dtype}"
        elif row.shape != shape:
            reasons[i] = f"The item has shape {row.shape}, but rows had shape {shape} at fit"
        else:
            rows[i] = row
    return rows, reasons


def _called(item: Any, *, of_texts: bool) -> str:
    path = None if of_texts else path_of(item)
    return "The item" if path is None else repr(path)


@remembered("estimators that an engine's tasks carried", maxsize=16)
def _opened(sealed: bytes) -> Any:
    return _pickler().loads(sealed)


def _pickler() -> Any:
    """Import what pickles functions of a notebook too."""
    return need("cloudpickle", install="cloudpickle", purpose="Work for an engine")


def _told(steps: Any) -> str:
    """Tell steps from others by value, also where a notebook writes a function anew."""
    from ..backbones.identity import identity

    found = identity(steps)
    return f"{found.key} {sorted(found.packages.items())}"


def _parted(estimator: Any) -> tuple[Any, Any]:
    """Return the featurizer, and the steps behind it."""
    if isinstance(estimator, Pipeline):
        first = estimator[0]
        rest = estimator[1:] if len(estimator) > 1 else None
        return (first if hasattr(first, "road") else None), rest
    return (estimator if hasattr(estimator, "road") else None), None


def _for_workers(estimator: Any, first: Any) -> Any:
    """Copy an estimator so that its cache is the same place in every worker."""
    own = copy.copy(first)
    # A worker's memory is the engine's: rows that pass once are not kept there.
    in_memory = own.cache == "memory" or isinstance(own.cache, MemoryCache)
    own.cache = None if own.cache is None or in_memory else resolve_cache(own.cache)
    own.verbose, own.on_error = False, "nan"
    if not isinstance(estimator, Pipeline):
        return own
    whole = copy.copy(estimator)
    (name, _), *others = estimator.steps
    whole.steps = [(name, own), *others]
    return whole
