"""A model's name → what reads its items, what reads prompts, and how similarity becomes logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from .._image import PretrainedImageFeaturizer
from .._text import PretrainedTextFeaturizer

Rows = NDArray[np.float64]
SENTENCES = 20.0
"""The factor that sentence encoders are usually trained with, which no file of theirs records."""


@dataclass(frozen=True)
class Similarity:
    """How a cosine becomes a logit, and logits probabilities.

    Parameters
    ----------
    scale, bias : float
        ``scale * cosine + bias``.
    each_alone : bool
        Whether a class is likely or not whatever the others are, as SigLIP was trained.
    """

    scale: float
    bias: float = 0.0
    each_alone: bool = False


@dataclass(frozen=True)
class Readers:
    """What reads items and prompts into one space.

    Parameters
    ----------
    items, prompts : featurizer
    sees_images : bool
    """

    items: Any
    prompts: Any
    sees_images: bool

    def read_items(self, X: Any) -> Rows | None:
        """Fit what reads items; return their directions, where there are items."""
        if X is None:
            one: list[Any] = [np.zeros((8, 8, 3), np.uint8)] if self.sees_images else ["a text"]
            self.items.fit(one)
            return None
        return directions(self.items.fit_transform(X))

    def read_prompts(self, texts: list[str], n_classes: int) -> Rows:
        """Return the mean direction of each class's prompts."""
        rows = directions(self.prompts.fit_transform(texts))
        return normalize(rows.reshape(n_classes, -1, rows.shape[1]).mean(axis=1))


def directions(rows: NDArray[Any]) -> Rows:
    """Bring rows to length 1."""
    return normalize(rows.astype(np.float64))


def readers(model: str, weights: str | None, common: dict[str, Any]) -> Readers:
    """Choose the featurizers: towers of a network over images and texts, or one text encoder."""
    from ..backbones.transformers._folders import find_folder, is_vision

    revision = weights if weights not in {None, "default"} else None
    folder = find_folder(model, revision, what="network")
    if not is_vision(folder):
        texts = PretrainedTextFeaturizer(model, weights=weights, **common)
        return Readers(texts, texts, sees_images=False)
    return Readers(
        PretrainedImageFeaturizer(model, weights=weights, layer="projection", **common),
        PretrainedTextFeaturizer(model, weights=weights, layer="projection", **common),
        sees_images=True,
    )


def similarity(prompts: Any, temperature: float | str, *, sees_images: bool) -> Similarity:
    """Find how the network that reads prompts was trained to compare.

    Parameters
    ----------
    prompts : PretrainedTextFeaturizer
        Fitted.
    temperature : float or "auto"
        What cosines are divided by; "auto" is the network's own.
    sees_images : bool
        Whether the network reads images too, so that its files hold a temperature.
    """
    own = None
    if sees_images:
        from ..backbones.transformers._comparing import scale_and_bias

        own = scale_and_bias(prompts.find_backbone())
    if temperature != "auto":
        bias = own[1] if own else None
        return Similarity(1 / float(temperature), bias or 0.0, each_alone=bias is not None)
    if own is None:
        if sees_images:
            raise ValueError(
                f"{prompts.model} records no temperature; pass temperature=, such as 0.01."
            )
        return Similarity(SENTENCES)
    scale, bias = own
    return Similarity(scale, bias or 0.0, each_alone=bias is not None)
