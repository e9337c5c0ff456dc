"""A cache → one that keeps rows rounded to float16, which are rows of another recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from .._recipe import Bundle, recipe_as
from ._policy import Cache
from ._request import Request, Work
from ._store import Rows

_HALF = "float16"


class RoundedCache:
    """Rows in half of the bytes; computed or known, they are the same rounded numbers.

    Parameters
    ----------
    rows : Cache
        Where they lie.
    """

    def __init__(self, rows: Cache) -> None:
        self.rows, self.lasting = rows, getattr(rows, "lasting", False)

    def fetch(self, request: Request) -> Work:
        """Fill rows; those that are computed are rounded before anybody sees them."""

        def compute(positions: list[int], chosen: Bundle) -> Iterator[tuple[list[int], Rows]]:
            for where, rows in request.compute(positions, chosen):
                yield where, _rounded(rows)

        wanted, keep = _named(request.wanted), _named(request.keep)
        return self.rows.fetch(replace(request, wanted=wanted, keep=keep, compute=compute))

    def add(self, bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> None:
        """Keep rows that were not asked of it."""
        self.rows.add(_named(bundle), digests, _rounded(rows))

    def known(self, wanted: Bundle, digests: Sequence[bytes | None], out: Rows) -> None:
        """Fill ``out`` with the rows that are known; nothing is computed or waited for."""
        self.rows.known(_named(wanted), digests, out)

    def recall(self, recipe: str, name: str) -> bytes | None:
        """Return a fact about a recipe's rows, None where it is not known."""
        return self.rows.recall(recipe, name)

    def remember(self, recipe: str, name: str, value: bytes) -> bytes:
        """Note a fact, unless it is known; return what is known."""
        return self.rows.remember(recipe, name, value)


def _named(bundle: Bundle) -> Bundle:
    return replace(bundle, recipe=recipe_as(bundle.recipe, _HALF))


def _rounded(rows: Rows) -> Rows:
    most = float(np.nanmax(np.abs(rows), initial=0.0))
    limit = float(np.finfo(_HALF).max)
    if most > limit:
        raise ValueError(
            f"The network returns {most:.3g}, and float16 holds numbers up to {limit:.0f}. Use "
            "record_dtype='float32'."
        )
    return rows.astype(_HALF).astype(np.float32)
