"""A fitted featurizer or pipeline → what a task carries, opened once in each worker process."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._optional import need
from .._outputs import key
from .._process import remembered
from .._tally import Tally
from ..cache._cache import MemoryCache, resolve_cache
from ..inputs import Some
from ..inputs._contents import path_of


class Result(NamedTuple):
    """What a method gives for each item.

    Parameters
    ----------
    column : str
        What its column is called.
    width : callable
        Counts the numbers of a row of a fitted estimator; None where the result is one value.
    """

    column: str
    width: Callable[[Any], int] | None


def _n_features(estimator: Any) -> int:
    if hasattr(estimator, "n_features_out_"):
        return int(estimator.n_features_out_)
    return len(estimator.get_feature_names_out())


def _classes(estimator: Any) -> NDArray[Any]:
    classes = estimator.classes_
    if isinstance(classes, list):
        raise TypeError("A pipeline with several outputs does not fit into one column.")
    return np.asarray(classes)


RESULTS = {
    "transform": Result("features", _n_features),
    "predict": Result("prediction", None),
    "predict_proba": Result("probabilities", lambda estimator: len(_classes(estimator))),
}


# By the kind of the classes' dtype; others are texts.
_VALUES = {"b": "bool", "i": "int64", "u": "int64", "f": "float64"}


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
    width : int or None
        Numbers in a row; None where each item gets one value.
    dtype : dtype
        Of the values.
    recipe : str
        What decides the values, the same in every process.
    """

    def __init__(self, estimator: Any, method: str) -> None:
        if method not in RESULTS:
            raise ValueError(f"method must be one of {', '.join(RESULTS)}, got {method!r}.")
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
        width = RESULTS[method].width
        self.width = None if width is None else width(estimator)
        self.dtype = _dtype(estimator) if width is None else np.dtype(np.float32)
        road = first.road()
        outputs = [key(output) for output in road.outputs]
        read = [getattr(first, name, None) for name in _READING]
        decides = f"{road.recipe} {outputs} {read} {method} {joblib.hash(rest)}"
        self.recipe = hashlib.sha256(decides.encode()).hexdigest()

    def __dask_tokenize__(self) -> str:
        return self.recipe

    def __call__(self, X: Any) -> Answers:
        """Compute what is asked for some items."""
        n = len(X)
        if n == 0:
            return Answers(np.empty((0, *self._shape), self.dtype), np.empty(0, bool), [])
        first, rest = _parted(_opened(self._sealed))
        rows, errors = _rows(first, X)
        there = np.array([i not in errors for i in range(n)])
        values: Any = rows[there]
        if rest is not None and there.any():
            values = np.asarray(getattr(rest, self.method)(values))
        elif rest is not None:
            values = np.empty((0, *self._shape), self.dtype)
        return Answers(values, there, [errors.get(i) for i in range(n)])

    @property
    def _shape(self) -> tuple[int, ...]:
        return () if self.width is None else (self.width,)


def _rows(featurizer: Any, X: Sequence[Any]) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Take the road of `transform`; what could not be read is told by its path."""
    own = copy.copy(featurizer)  # threads of a worker share what was opened
    road = own.road()
    items = own._read(X, reset=False)  # noqa: SLF001  as transform does
    # Where an item stands in its batch says nothing.
    of_texts = hasattr(featurizer, "max_length")  # a text is not to be copied into its reason
    named = Some(items, range(len(items)), [_called(item, of_texts=of_texts) for item in X])
    tally = Tally(named, raises=False)
    rows = road.rows(named, *own._means(road), tally)  # noqa: SLF001
    return rows, tally.bad.settle()


def _called(item: Any, *, of_texts: bool) -> str:
    path = None if of_texts else path_of(item)
    return "The item" if path is None else repr(path)


@remembered("estimators that an engine's tasks carried", maxsize=16)
def _opened(sealed: bytes) -> Any:
    return _pickler().loads(sealed)


def _pickler() -> Any:
    """Import what pickles functions of a notebook too."""
    return need("cloudpickle", install="cloudpickle", purpose="Work for an engine")


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
    own.verbose = False
    if not isinstance(estimator, Pipeline):
        return own
    whole = copy.copy(estimator)
    (name, _), *others = estimator.steps
    whole.steps = [(name, own), *others]
    return whole


def _dtype(estimator: Any) -> np.dtype[Any]:
    """Tell what kind of value `predict` gives."""
    kind = _classes(estimator).dtype.kind if hasattr(estimator, "classes_") else "f"
    return np.dtype(_VALUES.get(kind, "O"))
