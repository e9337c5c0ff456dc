"""A function → the same one, with libraries' warnings suppressed while it runs in this thread.

`warnings.catch_warnings` changes the filters of the whole process and puts them back; where two
threads do so, the user's own warnings stay silenced. Here one filter lies in front and asks who is
warning.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

from ._process import once

Function = TypeVar("Function", bound=Callable[..., Any])


class _Below:
    """A pattern of a warning's text that matches whatever is said below some functions."""

    # scikit-learn writes filters anew for each task of joblib, from this; it matches nothing.
    pattern = "(?!)"

    def __init__(self) -> None:
        self.functions: set[CodeType] = set()

    def match(self, _text: str) -> bool:
        """Say whether this thread is running one of the functions."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code not in self.functions:
            frame = frame.f_back  # type: ignore[assignment]
        return frame is not None


_below = _Below()
_ENTRY: Any = ("ignore", _below, Warning, None, 0)


@once("the first of warnings.filters matches what is said below some functions of ours, no more")
def _tell() -> None:
    """Note that the filters have one more entry."""


def quiet(function: Function) -> Function:
    """Let nobody hear the warnings that come from below this function."""
    _below.functions.add(function.__code__)

    @functools.wraps(function)
    def quietly(*args: Any, **kwargs: Any) -> Any:
        filters: Any = warnings.filters
        if not filters or filters[0] is not _ENTRY:  # or behind what the user has set since
            _tell()
            with contextlib.suppress(ValueError):  # is not there, or another thread took it out
                filters.remove(_ENTRY)
            filters.insert(0, _ENTRY)
        return function(*args, **kwargs)

    return quietly  # type: ignore[return-value]
