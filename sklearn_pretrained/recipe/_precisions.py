"""The name of a precision, or torch's type → its record: how far numbers may lie apart in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """One precision that a network may run in; distances are relative to a row's norm.

    Parameters
    ----------
    name : str
        As in the parameter ``dtype``, and torch's own.
    kernel : float
        How far one operation may move when another kernel computes it.
    forward : float
        How far a whole forward may move when its operations are put together otherwise.
    machine : float
        How far rows may move with other libraries or processors: other orders of summing move
        those of float32 by 1e-5, another resizer by 2e-3.
    """

    name: str
    kernel: float
    forward: float
    machine: float


PRECISIONS = {
    one.name: one
    for one in (
        Precision("float32", kernel=1e-5, forward=1e-5, machine=1e-3),
        Precision("bfloat16", kernel=2e-2, forward=5e-2, machine=1e-1),
        Precision("float16", kernel=5e-3, forward=5e-3, machine=2e-2),
    )
}


def precision_of(dtype: object) -> Precision:
    """Return the record of one of torch's types."""
    return PRECISIONS[str(dtype).removeprefix("torch.")]
