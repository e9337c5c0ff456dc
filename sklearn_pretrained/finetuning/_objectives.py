"""Names of objectives → what a batch of tuned features and their targets cost, for torch."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]
"""Scores and targets → one number a row."""
SMOOTHING = 0.1


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Compare scores with smoothed labels; targets are one column a class, of zeros and ones."""
    smooth = targets * (1 - SMOOTHING) + SMOOTHING / targets.shape[1]
    return functional.cross_entropy(scores, smooth, reduction="none")


def binary_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Compare each score with a smoothed yes or no."""
    smooth = targets * (1 - SMOOTHING) + SMOOTHING / 2
    return functional.binary_cross_entropy_with_logits(scores, smooth, reduction="none").mean(1)


def squared_error(scores: Tensor, targets: Tensor) -> Tensor:
    """Compare numbers."""
    return (scores - targets).square().mean(1)


def likeness(first: Tensor, second: Tensor, alike: Tensor) -> Tensor:
    """Compare the cosine of pairs of features with how alike their targets are."""
    return (functional.cosine_similarity(first, second) - alike).square()
