"""A featurizer and a layer → the trunk below it as a featurizer, and the tail above it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from ..exceptions import WeightsError
from ..running import resolve_devices
from ..tails import Tail, tail_of

_AT_ONCE = 64


def cut(featurizer: Any, train_from: Any, X: Any) -> tuple[Any, Tail] | None:
    """Cut the network of a fitted featurizer; None where nothing that is trained lies above.

    The trunk is a featurizer too, with the same cache, so that clones, folds and candidates share
    its rows.
    """
    if getattr(featurizer, "augment", None) is not None:
        raise ValueError(
            f"augment={featurizer.augment!r} goes with vectors, and training goes on from maps, of "
            "one view of each image. Use augment=None."
        )
    road = featurizer.road()
    (start,) = road.plan.resolve(train_from)
    place = (start.module, start.side, start.calls)
    if all((one.module, one.side, one.calls) == place for one, _ in road.outputs):
        return None
    tail = make_tail(featurizer, start.name)
    if not tail.trained:
        return None
    return clone(featurizer).set_params(layer=start.name, pooling="none").fit(X), tail


def make_tail(featurizer: Any, layer: str) -> Tail:
    """Return what lies between a layer and what a fitted featurizer reads, on its device."""
    road = featurizer.road()
    backbone = road.backbone
    found = backbone.weights.digest()
    if found != featurizer.weights_digest_:
        raise WeightsError(
            f"The weights of {backbone.name} are not those that were tuned: SHA-256 "
            f"{featurizer.weights_digest_} was pinned, {found} was found. Bring back the weights "
            "that were pinned, or fit again."
        )
    return tail_of(backbone, layer, road.outputs, device=resolve_devices(featurizer.device)[0])


def load_tensors(tail: Tail, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Put tuned numbers into a tail."""
    parameters = tail.parameters()
    with torch.no_grad():
        for name, numbers in tensors.items():
            parameters[name].copy_(torch.from_numpy(numbers))


def tuned_rows(tail: Tail, activations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run a tail over activations, without gradients."""
    device = next(iter(tail.parameters().values())).device
    with torch.inference_mode():
        whole = torch.from_numpy(activations)
        parts = [tail(part.to(device, copy=True)).cpu().numpy() for part in whole.split(_AT_ONCE)]
    return np.concatenate(parts)
