"""A summary and what comes back → a method that a file has where it gives that output."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from numpy.typing import NDArray

Method = Callable[..., NDArray[Any]]
_DOCSTRING = """{summary}

        Parameters
        ----------
        X : array-like of items
            Images in any form, texts, or rows of numbers: what the featurizer reads.

        Returns
        -------
        ndarray of shape {shape}
            {returns}
        """


class Answer:
    """One of scikit-learn's methods, missing where the file has no such output.

    Parameters
    ----------
    summary : str
    shape : str
    returns : str
    """

    def __init__(self, summary: str, shape: str, returns: str) -> None:
        self._method = _method()
        self._method.__doc__ = _DOCSTRING.format(summary=summary, shape=shape, returns=returns)

    def __set_name__(self, owner: type, name: str) -> None:
        self._method.__name__ = name
        self._method.__qualname__ = f"{owner.__name__}.{name}"
        self._method.__module__ = owner.__module__

    def __get__(self, file: Any, owner: type | None = None) -> Method:
        if file is None:
            return self._method
        file.known(self._method.__name__)
        return MethodType(self._method, file)


def _method() -> Method:
    def method(self: Any, X: Any) -> NDArray[Any]:
        found: NDArray[Any] = self.answer(method.__name__, X)
        return found

    return method
