"""X that several networks and steps read → what each of a file's inputs is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ._table import chosen

Feed = dict[str, NDArray[Any]]


class Reader(Protocol):
    """What turns X into samples, and samples into what a network is fed."""

    def samples(self, X: Any) -> list[Any]:
        """Read and prepare every item; one that cannot be is an error that names it."""

    def size(self, sample: Any) -> Any:
        """Say how large a sample is beside others; those of a size share a batch best."""

    def feed(self, samples: Sequence[Any]) -> Feed:
        """Join samples into one batch."""


class Several:
    """Several inputs, each with the columns of X that it reads.

    Parameters
    ----------
    parts : sequence of mapping
        What the file says of each input: its ``prefix``, ``columns`` and ``form``.
    readers : sequence of Reader
        Of each.
    """

    def __init__(self, parts: Sequence[Mapping[str, Any]], readers: Sequence[Reader]) -> None:
        self._parts, self._readers = parts, readers

    def samples(self, X: Any) -> list[Any]:
        """Let each input read its columns; a sample has a part for each."""
        found = [
            reader.samples(columns_of(X, part))
            for part, reader in zip(self._parts, self._readers, strict=True)
        ]
        lengths = {len(samples) for samples in found}
        if len(lengths) > 1:
            raise ValueError(f"The columns of X have different lengths: {sorted(lengths)}.")
        return list(zip(*found, strict=True))

    def size(self, sample: Any) -> Any:
        """Return the sizes of its parts: first of those that must be equal within a batch."""
        even: list[Any] = []
        others: list[Any] = []
        for part, reader, one in zip(self._parts, self._readers, sample, strict=True):
            sizes = even if part["form"].get("even", False) else others
            sizes.append(reader.size(one))
        return tuple(even), tuple(others)

    def feed(self, samples: Sequence[Any]) -> Feed:
        """Join each part into one batch."""
        found: Feed = {}
        columns = zip(*samples, strict=True)
        for part, reader, column in zip(self._parts, self._readers, columns, strict=True):
            named = reader.feed(column)
            found |= {part["prefix"] + name: batch for name, batch in named.items()}
        return found


def columns_of(X: Any, part: Mapping[str, Any]) -> Any:
    """Take what one input reads out of X.

    Parameters
    ----------
    X : object
    part : mapping
        What the file says of the input.
    """
    columns = chosen(X, part["columns"])
    if part["form"]["kind"] == "table":
        return columns
    return columns[0] if len(columns) == 1 else np.stack([*map(np.asarray, columns)], axis=1)
