"""What a cache does whose rows outlive the process, wherever they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from ..recipe import Bundle
from ._policy import RowCache
from ._request import Request, Work
from ._store import Rows


class LastingCache(ABC):
    """A handle on a place where rows are kept: its clone is itself, and its pickle is the path."""

    lasting = True

    @property
    @abstractmethod
    def _rows(self) -> RowCache:
        """What all handles on the same place share in this process."""

    def fetch(self, request: Request) -> Work:
        """Fill rows with known features, and compute and store the others.

        This is called by featurizers.

        Parameters
        ----------
        request : Request
            The rows asked for, the function that computes them, and the array to fill.

        Returns
        -------
        Work
            Number of rows that were requested, known and computed.
        """
        return self._rows.fetch(request)

    def known(self, wanted: Bundle, digests: Sequence[bytes | None], out: Rows) -> None:
        """Fill rows with known features; nothing is computed.

        This is called by featurizers.

        Parameters
        ----------
        wanted : Bundle
            The outputs that each row holds.
        digests : sequence of bytes or None
            Key of each item.
        out : ndarray of shape (n, width)
            Array to fill; rows that are not known are left unchanged.
        """
        self._rows.known(wanted, digests, out)

    def add(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> None:
        """Store rows.

        This is called by featurizers.

        Parameters
        ----------
        bundle : Bundle
            The outputs that each row holds.
        digests : sequence of bytes
            Key of each item.
        rows : ndarray of shape (n, width)
            The rows.
        """
        self._rows.add(bundle, digests, rows)

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows.

        Parameters
        ----------
        recipe : str
            Fingerprint of everything that determines the rows.
        name : str
            Name of the fact.

        Returns
        -------
        bytes or None
            The fact, or None if it is not known.
        """
        return self._rows.recall(recipe, name)

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Store a fact about a recipe's rows unless it is already known.

        Parameters
        ----------
        recipe : str
            Fingerprint of everything that determines the rows.
        name : str
            Name of the fact.
        value : bytes
            The fact.

        Returns
        -------
        bytes
            The stored fact: the one that another process stored earlier, or ``value``.
        """
        return self._rows.remember(recipe, name, value)

    def __sklearn_clone__(self) -> Self:
        return self
