"""Every torchvision classifier against torchvision's own feature extractor.

    python -m tests.zoo              # all 80, as a table
    python -m tests.zoo resnet18 swin_t

Random weights: shapes, layers, channel axes and arithmetic are what is compared here.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn
from torchvision.models import get_model_weights, list_models
from torchvision.models.feature_extraction import create_feature_extractor

from sklearn_pretrained import PretrainedImageFeaturizer, backbones
from sklearn_pretrained.exceptions import RandomWeightsWarning
from sklearn_pretrained.layers import plan
from sklearn_pretrained.running import eager

TOLERANCE = 1e-5


def names() -> list[str]:
    """List the classifiers that torchvision has."""
    import torchvision

    return list_models(module=torchvision.models)


def moderate() -> list[str]:
    """List those whose forward over one picture costs at most 25 billion operations."""
    return [name for name in names() if get_model_weights(name).DEFAULT.meta["_ops"] <= 25]


@dataclass
class Row:
    """One layer of one network, as read by this package and by the reference."""

    network: str
    layer: str
    shape: tuple[int, ...]
    pooling: str
    reference: str
    error: float


def by_hand(activation: torch.Tensor) -> tuple[str, torch.Tensor]:
    """Pool as one would by looking at the shape: the channel axis is known by other means."""
    if activation.ndim == 2:
        return "avg", activation
    if activation.ndim == 3:
        return "cls", activation[:, 0]
    last = activation.shape[1] == activation.shape[2] != activation.shape[3]
    return "avg", activation.mean((1, 2) if last else (2, 3))


def reference(
    network: nn.Module, layers: list[str], x: torch.Tensor
) -> tuple[str, dict[str, torch.Tensor]]:
    """Read layers with torchvision's extractor, or with plain hooks where that fails."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return "extractor", create_feature_extractor(network, layers)(x)
        except Exception:
            kept = {}
            handles = [
                network.get_submodule(layer).register_forward_hook(
                    lambda _m, _i, out, layer=layer: kept.__setitem__(layer, out.clone())
                )
                for layer in layers
            ]
            network(x)
            for handle in handles:
                handle.remove()
            return "hook", kept


def compare(name: str) -> list[Row]:
    """Read five layers of one network both ways."""
    made = plan(backbones.find(name, weights=None, resize="exact"))
    n = len(made.stages)
    layers = list(dict.fromkeys(made.stages[round(i * (n - 1) / 3)] for i in range(4)))
    picture = load_sample_images().images[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        ours = PretrainedImageFeaturizer(
            name, weights=None, resize="exact", cache=None, device="cpu", layer=[*layers, "output"]
        ).fit([picture])
    loaded = eager.load(ours._backbone(), torch.device("cpu"), torch.float32, ours.weights_digest_)
    loaded.expect(100)  # so that the fast paths are what is looked at
    network = loaded.module
    rows = ours.transform([picture])
    x = get_model_weights(name).DEFAULT.transforms()(Image.fromarray(picture))[None]

    found, start = [], 0
    how, activations = reference(network, layers, x)
    for layer in layers:
        activation = activations[layer]
        pooling, expected = by_hand(activation)
        got = rows[:, start : start + expected.shape[1]]
        start += expected.shape[1]
        norm = float(expected.norm())
        error = float(np.linalg.norm(got - expected.numpy())) / (norm or 1.0)
        found.append(Row(name, layer, tuple(activation.shape[1:]), pooling, how, error))
    with torch.no_grad():
        whole = network(x).numpy()
    error = float(np.linalg.norm(rows[:, start:] - whole)) / (float(np.linalg.norm(whole)) or 1.0)
    found.append(Row(name, "output", whole.shape[1:], "avg", "forward", error))
    eager.unload()
    return found


def main(chosen: list[str]) -> int:
    """Print the table; the exit status counts the networks that differ."""
    good, networks = 0, chosen or names()
    for name in networks:
        started = time.perf_counter()
        rows = compare(name)
        for row in rows:
            shape = "×".join(map(str, row.shape))
            print(
                f"{row.network:20} {row.layer:34} {shape:14} {row.pooling:4} "
                f"{row.reference:9} {row.error:.1e}"
            )
        fine = len(rows) >= 5 and all(row.error <= TOLERANCE for row in rows)
        good += fine
        print(f"{name:20} {'equal' if fine else 'DIFFERS'} {time.perf_counter() - started:.1f} s")
    print(f"{good} of {len(networks)}")
    return len(networks) - good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
