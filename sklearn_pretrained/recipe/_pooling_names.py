"""A pooling's name → its parts: modes, tokens that are left out, and steps behind them."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

_NAME = re.compile(r"([a-z_]+(?:,[a-z_]+)*)(?:\[(\d+):\])?((?:\+[a-z]+\d*)*)")
_STEP = re.compile(r"\+([a-z]+)(\d*)")


@dataclass(frozen=True)
class Pooling:
    """A pooling's name, taken apart: ``"cls,mean[3:]+dense8+unit"``.

    Parameters
    ----------
    modes : tuple of str
        What is made of the positions; the results of several lie side by side.
    skip : int
        Tokens at the start of each sequence that are left out, such as a prompt's.
    steps : tuple of (str, int)
        What becomes of the rows then, with the width that it gives: "unit" brings them to length 1,
        "cut" keeps the first columns, "dense" and "layernorm" are modules with weights.
    """

    modes: tuple[str, ...]
    skip: int
    steps: tuple[tuple[str, int], ...]

    @property
    def has_weights(self) -> bool:
        """Whether a step was trained, so that it fits only where it was trained."""
        return any(step in {"dense", "layernorm"} for step, _ in self.steps)


@functools.lru_cache(maxsize=1024)
def parsed(pooling: str) -> Pooling:
    """Take a pooling's name apart."""
    found = _NAME.fullmatch(pooling)
    if found is None:
        raise ValueError(f"{pooling!r} is not the name of a pooling")
    modes, skip, steps = found.groups()
    return Pooling(
        tuple(modes.split(",")),
        int(skip or 0),
        tuple((step, int(size or 0)) for step, size in _STEP.findall(steps)),
    )
