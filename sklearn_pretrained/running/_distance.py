"""Two rows, or activations → how far they lie apart, and how far is too far."""

from __future__ import annotations

from torch import Tensor

from ..recipe import Precision, precision_of

_FAR = 10
"""How many times the distance between two kernels a row may move."""


def too_far(precision: Precision) -> float:
    """Return the distance beyond which two rows are not the same."""
    return _FAR * precision.kernel


def are_alike(ours: Tensor, right: Tensor) -> bool:
    """Tell whether each row is what a whole forward may give, so that no short text is lost."""
    if ours.shape != right.shape:
        return False
    error = (ours.float() - right.float()).norm(dim=-1) / right.float().norm(dim=-1)
    return bool((error < precision_of(right.dtype).forward).all())


def distance(a: Tensor, b: Tensor) -> float:
    """Return how far two activations lie apart, relative to their norm."""
    a, b = a.double(), b.double()
    finite = a.isfinite()
    if not finite.equal(b.isfinite()):
        return float("inf")
    a, b = a[finite], b[finite]
    norm = max(float(a.norm()), float(b.norm()))
    return float((a - b).norm()) / norm if norm > 0 else 0.0
