"""A featurizer and a layer → the trunk below it as a featurizer, and the tail above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import Tensor

from ..exceptions import WeightsError
from ..running import resolve_devices
from ..tails import Tail, tail_of
from ..taps import without_autocast

Floats = NDArray[np.float32]
AT_ONCE = 64
"""Rows that a tail is run over at a time, without gradients."""


def cut(
    featurizer: Any, train_from: Any, X: Any, *, record_dtype: str = "float32"
) -> tuple[Any, Tail] | None:
    """Cut the network of a fitted featurizer; None where nothing that is trained lies above.

    The trunk is a featurizer too, with the same cache, so that clones, folds and candidates share
    its rows.
    """
    if getattr(featurizer, "augment", None) is not None:
        raise ValueError(
            f"A featurizer with augment={featurizer.augment!r} averages two views, and training "
            "starts from the activations of one. Use augment=None there, and augment='flip' here "
            "to train on both views."
        )
    if getattr(featurizer, "truncation", None) == "windows":
        raise ValueError(
            "A featurizer with truncation='windows' makes one row of several windows, and training "
            "starts from the tokens of one. Use truncation='cut' there, or train_from=None here."
        )
    road = featurizer.road()
    (start,) = road.plan.resolve(train_from)
    place = (start.module, start.side, start.calls)
    if all((one.module, one.side, one.calls) == place for one, _ in road.outputs):
        return None
    tail = make_tail(featurizer, start.name)
    if not tail.trained:
        return None
    trunk = clone(featurizer).set_params(layer=start.name, pooling="none").fit(X)
    trunk._record_dtype = record_dtype
    return trunk, tail


def place(featurizer: Any, train_from: Any) -> tuple[str, float]:
    """Name a layer of a fitted featurizer's network, and the share of its work that lies above."""
    road = featurizer.road()
    (start,) = road.plan.resolve(train_from)
    return start.name, max(layer.cost for layer, _ in road.outputs) - start.cost


def make_tail(featurizer: Any, layer: str) -> Tail:
    """Return what lies between a layer and what a fitted featurizer reads, on its device."""
    road = featurizer.road()
    backbone = road.backbone
    found = backbone.weights.digest()
    if found != featurizer.weights_digest_:
        raise WeightsError(
            f"The weights of {backbone.name} are not those that were tuned: SHA-256 "
            f"{featurizer.weights_digest_} was pinned, {found} was found. Restore the weights "
            "that were pinned, or fit again."
        )
    return tail_of(backbone, layer, road.outputs, device=resolve_devices(featurizer.device)[0])


def load_tensors(tail: Tail, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Put tuned numbers into a tail."""
    parameters = tail.parameters()
    with torch.no_grad():
        for name, numbers in tensors.items():
            parameters[name].copy_(torch.from_numpy(numbers))


def run(tail: Tail, activations: NDArray[np.float32], lengths: Sequence[int] | None) -> Tensor:
    """Run a tail over activations; where padding shows, those of one length at a time."""
    device = next(iter(tail.parameters().values())).device
    given = torch.from_numpy(activations).to(device)
    if lengths is None or not tail.even:
        return tail(given, lengths)
    groups = [np.flatnonzero(np.equal(lengths, length)) for length in np.unique(lengths)]
    parts = [
        tail(given[group, : lengths[group[0]]], [lengths[group[0]]] * len(group))
        for group in groups
    ]
    return torch.cat(parts)[np.argsort(np.concatenate(groups))]


def tuned_rows(tail: Tail, rows: NDArray[Any]) -> NDArray[np.float32]:
    """Run a tail over rows of a trunk, without gradients."""
    is_ragged = rows.dtype == object
    order = np.argsort([len(row) if is_ragged else 0 for row in rows], kind="stable")
    return in_parts(
        order, lambda some: run(tail, *padded([rows[i] for i in some], is_ragged=is_ragged))
    )


def in_parts(
    order: NDArray[np.intp], compute: Callable[[NDArray[np.intp]], Tensor]
) -> NDArray[np.float32]:
    """Compute rows in some order, a part at a time and without gradients, into one array."""
    found: NDArray[np.float32] | None = None
    with torch.inference_mode(), without_autocast():
        for start in range(0, len(order), AT_ONCE):
            some = order[start : start + AT_ONCE]
            rows = compute(some).cpu().numpy()
            if found is None:
                found = np.empty((len(order), rows.shape[1]), np.float32)
            found[some] = rows
    assert found is not None
    return found


def padded(rows: Sequence[Floats], *, is_ragged: bool) -> tuple[Floats, list[int] | None]:
    """Lay rows into one array, with zeros behind shorter ones, and tell their lengths."""
    if not is_ragged:
        return np.stack(rows), None
    lengths = [len(row) for row in rows]
    found = np.zeros((len(rows), max(lengths), *rows[0].shape[1:]), np.float32)
    for i, row in enumerate(rows):
        found[i, : len(row)] = row
    return found, lengths
