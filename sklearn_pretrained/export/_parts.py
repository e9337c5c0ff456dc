"""A fitted pipeline and examples → its parts, from X to the answer, and what each of them gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from .._featurizer import BaseFeaturizer
from .._sklearn import places_of, rows_of
from ..finetuning import FineTunedClassifier, FineTunedRegressor

FINE_TUNED = FineTunedClassifier | FineTunedRegressor
_VALUES = ("predict_proba", "decision_function")


@dataclass(frozen=True)
class Columns:
    """Some columns of X.

    Parameters
    ----------
    places : list of int or None
        Which they are; None is X itself.
    names : list of str or None
        What they are called, where X has names.
    flat : bool
        Whether it is one column, as a row of items.
    """

    places: list[int] | None = None
    names: list[str] | None = None
    flat: bool = False


@dataclass
class Part:
    """One part of a pipeline.

    Parameters
    ----------
    name : str
    rows : array-like
        What it hands on of the examples.
    expected : dict of str to ndarray
        What its methods give, by the names that a file has for it.
    """

    name: str
    rows: Any = None
    expected: dict[str, Any] = field(default_factory=dict)


@dataclass
class Source(Part):
    """A network, which reads X or columns of it."""

    estimator: Any = None
    X: Any = None
    columns: Columns = Columns()


@dataclass
class Table(Part):
    """Columns of X as they are."""

    columns: Columns = Columns()


@dataclass
class Join(Part):
    """Several parts side by side."""

    parts: Sequence[Part] = ()
    weights: Sequence[float] = ()


@dataclass
class Step(Part):
    """A scikit-learn estimator behind a part."""

    estimator: Any = None
    reads: Any = None


@dataclass(frozen=True)
class _Given:
    """X, or columns of it."""

    X: Any
    columns: Columns = Columns()

    def chosen(self, union: ColumnTransformer, branch: str, *, flat: bool) -> _Given:
        """Take the columns that a branch reads, by name where they have names."""
        places = places_of(union, branch)
        known = getattr(union, "feature_names_in_", None)
        names = None if known is None else [str(known[i]) for i in places]
        by: list[Any] = places if names is None else names
        X = np.asarray(self.X, dtype=object) if isinstance(self.X, list) else self.X
        found = rows_of(X, by[0] if flat else by, axis=1)
        if self.columns.places is not None:
            places = [self.columns.places[i] for i in places]
        return _Given(found, Columns(places, names, flat=flat))


def parts(pipeline: Any, examples: Any) -> list[Part]:
    """Take a fitted pipeline apart, in the order in which its parts are computed.

    Parameters
    ----------
    pipeline : estimator
    examples : array-like of items

    Returns
    -------
    list of Part
        The last one gives the answer.
    """
    way = _Way()
    way.follow((), pipeline, _Given(examples), is_last=True)
    sources = [part for part in way.found if isinstance(part, Source)]
    if not sources:
        raise TypeError(
            "export_onnx takes a fitted featurizer of this package, or an estimator that begins "
            f"with one or several: a Pipeline, FeatureUnion, ColumnTransformer or FineTuned…; "
            f"got {type(pipeline).__name__}."
        )
    names = ["network"] if len(sources) == 1 else [source.name for source in sources]
    for source, name in zip(sources, names, strict=True):
        source.name = name
        source.expected = {"features" if len(names) == 1 else f"{name}.features": source.rows}
    return way.found


class _Way:
    def __init__(self) -> None:
        self.found: list[Part] = []

    def follow(
        self, path: tuple[str, ...], estimator: Any, given: Any, *, is_last: bool = False
    ) -> Part:
        """Add the parts of an estimator that reads X, or another part."""
        estimator = getattr(estimator, "best_estimator_", estimator)  # of a search
        if isinstance(estimator, Pipeline):
            return self._pipeline(path, estimator, given, is_last=is_last)
        if isinstance(given, Part):
            return self._step(path, estimator, given, is_last=is_last)
        if isinstance(estimator, BaseFeaturizer | FINE_TUNED):
            return self._network(path, estimator, given, is_last=is_last)
        if isinstance(estimator, FeatureUnion | ColumnTransformer) and _holds(estimator):
            return self._union(path, estimator, given)
        if _holds(estimator):
            raise TypeError(
                f"{type(estimator).__name__} keeps a featurizer inside, where export_onnx does not "
                "look. Put the featurizer in front of it, in a Pipeline."
            )
        table = Table(self._free("/".join((*path, "columns"))), given.X, columns=given.columns)
        if isinstance(estimator, str) or _is_identity(estimator):  # "passthrough"
            return self._add(table)
        return self._step(path, estimator, self._add(table), is_last=is_last)

    def _pipeline(
        self, path: tuple[str, ...], pipeline: Pipeline, given: Any, *, is_last: bool
    ) -> Part:
        steps = [(n, s) for n, s in pipeline.steps if not (isinstance(s, str) or s is None)]
        for i, (name, step) in enumerate(steps):
            at_end = i == len(steps) - 1
            inner = path if _divides(step) and not isinstance(given, Part) else (*path, name)
            given = self.follow(inner, step, given, is_last=is_last and at_end)
        if not isinstance(given, Part):
            return self.follow((*path, "passthrough"), "passthrough", given)
        return given

    def _network(
        self, path: tuple[str, ...], estimator: Any, given: _Given, *, is_last: bool
    ) -> Part:
        check_is_fitted(estimator)
        name = self._free("/".join(path) or "network")
        rows = estimator.transform(given.X)
        made = Source(name, rows, estimator=estimator, X=given.X, columns=given.columns)
        self._add(made)
        if not is_last or isinstance(estimator, BaseFeaturizer):
            return made
        return self._add(
            Step(
                self._free("/".join((*path, "head"))),
                expected=_predictions(estimator, given.X),
                estimator=estimator,
                reads=made,
            )
        )

    def _union(self, path: tuple[str, ...], union: Any, given: _Given) -> Part:
        check_is_fitted(union)
        weights = dict(getattr(union, "transformer_weights", None) or {})
        branches = list(_branches(union, given))
        made = [self.follow((*path, name), branch, part) for name, branch, part in branches]
        rows = union.transform(given.X)
        name = self._free("/".join((*path, "joined")))
        return self._add(
            Join(
                name,
                rows,
                {f"{name}.transform": dense(rows)},
                parts=made,
                weights=[weights.get(name, 1) for name, *_ in branches],
            )
        )

    def _step(self, path: tuple[str, ...], step: Any, given: Part, *, is_last: bool) -> Part:
        check_is_fitted(step)
        name = self._free("/".join(path))
        made = Step(name, estimator=step, reads=given)
        if is_last and hasattr(step, "predict"):
            made.expected = _predictions(step, given.rows)
        else:
            made.rows = step.transform(given.rows)
            made.expected = {f"{name}.transform": dense(made.rows)}
        return self._add(made)

    def _add(self, part: Any) -> Any:
        self.found.append(part)
        return part

    def _free(self, name: str) -> str:
        taken = {part.name for part in self.found}
        names = (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3)))
        return next(one for one in names if one not in taken)


def _branches(union: Any, given: _Given) -> Iterator[tuple[str, Any, _Given]]:
    if isinstance(union, FeatureUnion):
        for name, branch in union.transformer_list:
            if not (isinstance(branch, str) and branch == "drop"):
                yield name, branch, given
        return
    for name, branch, columns in union.transformers_:
        if not (isinstance(branch, str) and branch == "drop") and places_of(union, name):
            yield name, branch, given.chosen(union, name, flat=isinstance(columns, str | int))


def _divides(step: Any) -> bool:
    return isinstance(step, Pipeline | FeatureUnion | ColumnTransformer) and _holds(step)


def _is_identity(step: Any) -> bool:
    return isinstance(step, FunctionTransformer) and step.func is None


def _holds(estimator: Any) -> bool:
    """Tell whether an estimator has a featurizer somewhere inside."""
    if isinstance(estimator, BaseFeaturizer | FINE_TUNED):
        return True
    if not isinstance(estimator, BaseEstimator):
        return False
    return any(
        isinstance(value, BaseFeaturizer | FINE_TUNED) for value in estimator.get_params().values()
    )


def _predictions(step: Any, rows: Any) -> dict[str, Any]:
    found = {"predict": np.asarray(step.predict(rows))}
    method = next((method for method in _VALUES if hasattr(step, method)), None)
    values = getattr(step, method)(rows) if method is not None else None
    # Several outputs with classes of their own, as many each, are given side by side.
    if values is not None and (
        not isinstance(values, list) or len({one.shape for one in values}) == 1
    ):
        found[str(method)] = values
    return found


def dense(rows: Any) -> NDArray[Any]:
    """Return rows as an array."""
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
