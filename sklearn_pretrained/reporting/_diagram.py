"""A featurizer's parameters, and what fit pinned → the line below its name in diagrams."""

from __future__ import annotations

from typing import Any

_LONGEST = 40


def caption(featurizer: Any) -> str:
    """Say which network is read where, how wide the rows are, and which weights were pinned.

    Nothing is loaded or looked up for it.
    """
    if not hasattr(featurizer, "weights_digest_"):
        facts = [_name(featurizer.model), f"layer={_short(repr(featurizer.layer))}"]
    else:
        layers = featurizer.layer_
        facts = [
            _short(featurizer.model_),
            _short(layers if isinstance(layers, str) else " + ".join(layers)),
            f"{featurizer.n_features_out_:,} features",
            f"weights {featurizer.weights_digest_[:8]}",
        ]
        if featurizer.dtype_ != "float32":
            facts.append(featurizer.dtype_)
    if featurizer.weights is None:
        facts.append("random weights")
    return " · ".join(facts)


def _name(model: Any) -> str:
    """Name a network that is not known before fit."""
    if isinstance(model, str):
        return _short(model)
    own = getattr(model, "module", model)  # a handle holds it
    return _short(getattr(own, "__name__", type(own).__name__))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
