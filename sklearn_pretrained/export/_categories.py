"""A table and the steps behind it → the categories that each of its columns may hold."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from ._parts import Part, Step, Table

ENCODERS = OneHotEncoder | OrdinalEncoder
Known = list[list[Any] | None]


def categories_of(table: Table, found: Sequence[Part], count: int) -> Known:
    """List for each column what its encoder has seen, where that refuses all else.

    A graph has no errors: it would give another category's code.

    Parameters
    ----------
    table : Table
    found : sequence of Part
        All parts.
    count : int
        How many columns the table has.
    """
    for part in found:
        if _refuses_others(part) and _table_of(part) is table:
            seen = part.estimator.categories_  # type: ignore[attr-defined]
            if len(seen) == count:
                return [[one for one in column.tolist() if not is_nan(one)] for column in seen]
    return [None] * count


def check_encoders(found: Sequence[Part]) -> None:
    """Refuse encoders whose graph would give a code to what they do not know."""
    for part in found:
        if _refuses_others(part) and _table_of(part) is None:
            encoder = part.estimator  # type: ignore[attr-defined]
            known = "use_encoded_value" if isinstance(encoder, OrdinalEncoder) else "ignore"
            raise TypeError(
                f"Step {part.name!r} ({type(encoder).__name__}) reads what another step makes, and "
                "a file cannot refuse the categories that it does not know. Let it read columns "
                f"of X, or fit it with handle_unknown={known!r}."
            )


def is_nan(value: Any) -> bool:
    """Tell what stands for a gap among numbers."""
    return isinstance(value, float) and isnan(value)


def _refuses_others(part: Part) -> bool:
    if not isinstance(part, Step) or not isinstance(part.estimator, ENCODERS):
        return False
    return bool(part.estimator.handle_unknown == "error")


def _table_of(part: Any) -> Table | None:
    """Find the table that a step reads, as it is or with its gaps filled."""
    above = part.reads
    while isinstance(above, Step) and isinstance(above.estimator, SimpleImputer):
        above = above.reads
    return above if isinstance(above, Table) else None
