"""The only file that touches what scikit-learn keeps private or adds in later versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import _safe_indexing as rows_of
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _num_samples as number_of_rows
from sklearn.utils.validation import validate_data

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in: there is nothing to support."""

    _with_callbacks = None

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn < 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock

Method = TypeVar("Method", bound=Callable[..., Any])

__all__ = [
    "CallbackSupportMixin",
    "Documented",
    "HasMethods",
    "Interval",
    "KnownParameters",
    "StrOptions",
    "TypeNamed",
    "block_of_diagram",
    "check_feature_names_in",
    "check_sample_weight",
    "clone_sharing",
    "fit_context",
    "fit_tasks",
    "number_of_rows",
    "rows_of",
    "validate_rows",
    "with_callbacks",
]


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Check the parameters before `fit` runs; the method keeps its type."""
    checked: Callable[[Method], Method] = _fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return checked


def with_callbacks(method: Method) -> Method:
    """Let scikit-learn's callbacks follow `fit`, where there are any; the method keeps its type."""
    followed: Method = _with_callbacks(method) if _with_callbacks else method
    return followed


class TypeNamed(HasMethods):  # scikit-learn takes no other kinds than its own
    """Objects of a type of a library that may not be imported yet.

    Parameters
    ----------
    name : str
        Module and name of the type.
    """

    def __init__(self, name: str) -> None:
        super().__init__([])
        self.name = name

    def is_satisfied_by(self, val: Any) -> bool:
        """Tell an object of the type, or of one derived from it."""
        return any(f"{one.__module__}.{one.__qualname__}" == self.name for one in type(val).mro())

    def __str__(self) -> str:
        return f"an instance of {self.name!r}"


def clone_sharing(estimator: BaseEstimator, parameter: str) -> Any:
    """Clone an estimator as scikit-learn does, but share the object in one parameter.

    scikit-learn deep-copies parameters that are no estimators; for a network that would double
    its memory at every fold of a search.
    """
    # copy.copy would go through the state that files hold.
    bare = object.__new__(type(estimator))
    vars(bare).update(vars(estimator))
    setattr(bare, parameter, None)
    twin = BaseEstimator.__sklearn_clone__(bare)
    setattr(twin, parameter, getattr(estimator, parameter))
    return twin


class KnownParameters:
    """An estimator whose signature is read once; scikit-learn asks for it at every turn."""

    _parameters: tuple[Any, list[str]] = None, []

    @classmethod
    def _get_param_names(cls) -> list[str]:
        read, names = cls.__dict__.get("_parameters", KnownParameters._parameters)
        if read is not cls.__init__:
            names = super()._get_param_names()  # type: ignore[misc]
            cls._parameters = cls.__init__, names
        return [*names]


class Documented:
    """An estimator whose diagram leads to this package's reference."""

    _doc_link_module = "sklearn_pretrained"
    _doc_link_template = (
        "https://sklearn-pretrained.readthedocs.io/en/latest/generated/"
        "{estimator_module}.{estimator_name}.html"
    )


def block_of_diagram(estimator: Any, *, caption: str) -> Any:
    """Return an estimator's place in scikit-learn's diagrams, with a line below its name."""
    return _VisualBlock(
        "single",
        estimator,
        names=type(estimator).__name__,
        name_details=str(estimator),
        name_caption=caption,
        doc_link_label=type(estimator).__name__,
    )


class ColumnsOfFeaturizer(Documented):
    """The columns of X, as the fitted featurizer of an estimator knows them."""

    featurizer_: Any

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X, where the featurizer reads a table."""
        return self.featurizer_.n_features_in_

    @property
    def feature_names_in_(self) -> Any:
        """Names of X's columns, where it had any."""
        return self.featurizer_.feature_names_in_


def in_container(transformer: Any, rows: Any) -> Any:
    """Give rows as `transform` gives them: an array, or what `set_output` asks for."""
    return _wrap_data_with_container("transform", rows, rows, transformer)


def require_y(estimator: Any, y: Any, what: str = "") -> None:
    """Refuse a missing y in scikit-learn's words."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            f"is None{what}."
        )


def validate_rows(
    estimator: Any, X: Any, *, reset: bool, allow_nan: bool, allow_nd: bool = False
) -> Any:
    """Check numeric rows, and their number of columns, in scikit-learn's words."""
    if not reset and (row := _as_expected(estimator, X, allow_nd=allow_nd)) is not None:
        return row
    return validate_data(
        estimator,
        X,
        reset=reset,
        dtype="numeric",
        ensure_all_finite=not allow_nan,
        allow_nd=allow_nd,
    )


def _as_expected(estimator: Any, X: Any, *, allow_nd: bool) -> Any:
    """Return one row in which scikit-learn would find no fault, as it would; None for all else.

    For the row of a service, its checks take longer than a small network.
    """
    if type(X) is not np.ndarray:
        if type(X) is not list or len(X) != 1 or type(X[0]) is not np.ndarray:
            return None
        X = np.asarray(X)
    is_table = X.ndim == 2 or (allow_nd and X.ndim > 2)  # noqa: PLR2004
    if X.dtype not in _USUAL or not is_table or len(X) != 1:
        return None
    known = vars(estimator)
    if "feature_names_in_" in known or X.shape[1] != known.get("n_features_in_"):
        return None
    return X if X.size and np.isfinite(X).all() else None


_USUAL = (np.dtype(np.float32), np.dtype(np.float64))


@contextmanager
def fit_tasks(
    estimator: Any, *, name: str, n_tasks: int | None, X: Any, y: Any = None
) -> Iterator[Callable[[], None]]:
    """Give a function that reports one finished task to scikit-learn's callbacks, where any are.

    Without callbacks the function does nothing.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield lambda: None
        return
    context = estimator._init_callback_context(  # noqa: SLF001
        task_name=name, max_subtasks=n_tasks
    )
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def finished() -> None:
        task = context.subcontext(task_name="batch")
        task.call_on_fit_task_begin(estimator=estimator)
        task.call_on_fit_task_end(estimator=estimator)

    yield finished
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)


def positive_label(classifier: Any) -> Any:
    """Return the class whose score a classifier with a threshold compares; None is the second."""
    scorer = getattr(classifier, "_curve_scorer", None)
    return classifier.pos_label if scorer is None else scorer._get_pos_label()  # noqa: SLF001


def places_of(columns: Any, name: str) -> list[int]:
    """Return the positions of the columns that one transformer of a ColumnTransformer reads."""
    found = columns._transformer_to_input_indices[name]  # noqa: SLF001
    return [int(i) for i in found]
