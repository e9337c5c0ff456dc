"""A network over images and texts → the scale and bias with which it compares them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._weights import RandomWeights
from . import _loading as _transformers

_NAMES = ("logit_scale", "logit_bias")


def scale_and_bias(backbone: Any) -> tuple[float, float | None] | None:
    """Read the factor of cosines, and the bias where there is one; None where none was trained.

    Parameters
    ----------
    backbone : TextTowerBackbone
        The tower that reads texts, whose folder holds the numbers.
    """
    if isinstance(backbone.weights, RandomWeights):
        config = _transformers.config(backbone.folder, backbone.version)
        first = getattr(config, "logit_scale_init_value", None)
        return None if first is None else (float(np.exp(first)), None)
    found: dict[str, float] = {}
    for file in sorted(backbone.folder.glob("*.safetensors")):
        found |= _of_safetensors(file)
    if not found:
        for file in sorted(backbone.folder.glob("pytorch_model*.bin")):
            found |= _of_pickle(file)
    if "logit_scale" not in found:
        return None
    return float(np.exp(found["logit_scale"])), found.get("logit_bias")


def _of_safetensors(file: Path) -> dict[str, float]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return {name: float(tensors.get_tensor(name)) for name in _NAMES if name in tensors.keys()}  # noqa: SIM118  no mapping


def _of_pickle(file: Path) -> dict[str, float]:
    import torch

    tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    return {name: float(tensors[name]) for name in _NAMES if name in tensors}
