"""What decides a row: facts that are frozen, put in one canonical form, and fingerprinted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

RECIPE_VERSION = 1
"""Part of every fingerprint.

Raise it when the code changes what a recipe's rows are (a new resizer, a pooling mended): rows
that were stored under the old number are then never served as new ones.
"""


def fingerprint(facts: Mapping[str, Any]) -> str:
    """Hash JSON-like facts, whatever the order they were written in."""
    canonical = json.dumps(
        {"recipe_version": RECIPE_VERSION, **facts},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def recipe_as(recipe: str, dtype: str) -> str:
    """Name rows of a recipe as they are stored: rounded ones are other rows."""
    return recipe if dtype == "float32" else f"{recipe}:{dtype}"


@dataclass(frozen=True)
class Bundle:
    """The outputs that one forward gives for one item, side by side in one float32 record.

    Parameters
    ----------
    recipe : str
        Fingerprint of all that decides the numbers, except which outputs are read.
    outputs : tuple of (str, int)
        Name (such as ``"features.18:avg"``) and width of each output.
    """

    recipe: str
    outputs: tuple[tuple[str, int], ...]

    @cached_property
    def width(self) -> int:
        """Floats in one record."""
        return sum(width for _, width in self.outputs)

    @cached_property
    def dtype(self) -> str:
        """Numbers that a record keeps: what its recipe was named with."""
        return "float16" if self.recipe.endswith(recipe_as("", "float16")) else "float32"

    @cached_property
    def offsets(self) -> dict[str, slice]:
        """Where each output lies in a record."""
        places, start = {}, 0
        for name, width in self.outputs:
            places[name] = slice(start, start + width)
            start += width
        return places
