"""A loaded network → 64 numbers for one fixed item, which tell whether rows are as they were."""

from __future__ import annotations

import base64
import copy
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._precisions import PRECISIONS
from ..exceptions import ProvenanceError

if TYPE_CHECKING:
    from ..backbones import Backbone
    from ..running import Reading
    from ..running.eager import LoadedNetwork

SWITCH = "SKLEARN_PRETRAINED_CANARY"
NUMBERS = 64

TEXT = "Café №5: the naïve fox — 3,14 km away… 東京 🦊 said “no” [SEP] twice."
"""Accents, signs, another script, an emoji, and what only looks like a special token."""

_known: dict[tuple[str, str], dict[str, str]] = {}


def is_on() -> bool:
    """Tell whether canaries are recorded and compared."""
    return os.environ.get(SWITCH, "1").upper() not in {"0", "FALSE", "NO", "OFF"}


def picture() -> NDArray[np.uint8]:
    """Draw the picture that is the canary of networks over images: gradients, edges, a texture."""
    y, x = np.mgrid[:300, :400]
    red = x * 255 // 399
    green = ((x // 25 + y // 20) % 2) * 200 + y // 6
    blue = (x * y + 7 * x) % 256
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def row(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the numbers that are the canary of networks over numeric rows."""
    return np.cos(np.arange(1, 1 + int(np.prod(shape)))).astype(np.float32).reshape(shape)


def sketch(values: NDArray[np.float32]) -> str:
    """Fold a row into few numbers that nearly keep distances, written as text."""
    # RandomState's numbers are the same in every version of NumPy.
    signs = np.random.RandomState(0).choice([-1.0, 1.0], len(values))
    folded = np.pad(values * signs, (0, -len(values) % NUMBERS)).reshape(-1, NUMBERS).sum(axis=0)
    return base64.b64encode(folded.astype("<f4").tobytes()).decode()


def known(recipe: str, names: Sequence[str]) -> dict[str, str]:
    """Return the canaries of some outputs, as far as this process has computed them."""
    found: dict[str, str] = {}
    for (computed, _), ours in list(_known.items()):
        if computed == recipe:
            found.update({name: ours[name] for name in names if name in ours})
    return found


def compute(
    recipe: str,
    *,
    item: Callable[[], Any],
    backbone: Backbone,
    network: LoadedNetwork,
    reading: Reading,
    names: Sequence[str],
) -> dict[str, str]:
    """Return the canaries of a reading's outputs; each is computed once in a process.

    Empty where the network cannot read the item.
    """
    ours = _known.setdefault((recipe, str(network.device)), {})
    if not all(name in ours for name in names):
        # A copy: what a backbone counts, such as texts that were cut, is not about the canary.
        samples = copy.copy(backbone).prepare([item()])
        batch = backbone.collate(samples, network.device, network.dtype)
        values = reading.read(backbone, network, batch).here()[0]
        if np.isfinite(values).all():
            widths = [layer.width(pooling) for layer, pooling in reading.outputs]
            parts = np.split(values, np.cumsum(widths)[:-1])
            ours.update({name: sketch(part) for name, part in zip(names, parts, strict=True)})
    return {name: ours[name] for name in names if name in ours}


def compare(
    then: Mapping[str, str], now: Mapping[str, str], dtype: str
) -> tuple[str, float] | None:
    """Return the output that moved farthest, and how far, where that is beyond the tolerance."""
    moved = {name: _distance(then[name], now[name]) for name in then if name in now}
    worst = max(moved, key=lambda name: moved[name], default=None)
    if worst is None or moved[worst] <= PRECISIONS[dtype].machine:
        return None
    return worst, moved[worst]


def _distance(then: str, now: str) -> float:
    """Return how far a canary moved, relative to its norm."""
    old, new = (np.frombuffer(base64.b64decode(text), "<f4") for text in (then, now))
    return float(np.linalg.norm(new - old) / max(float(np.linalg.norm(old)), 1e-12))


def refuse(moved: tuple[str, float], dtype: str, then: Mapping[str, Any], differ: str) -> None:
    """Raise the error that says how far rows moved, and what is another version than at fit."""
    name, far = moved
    raise ProvenanceError(
        f"{then['model']} does not give the rows that it gave at fit: the canary, one fixed item "
        f"that was recorded then, moved by {far:.1e} of its norm at {name} (allowed for {dtype}: "
        f"{PRECISIONS[dtype].machine:.0e}). {differ} The estimators behind this one learned from "
        "the old rows. Install the versions of then, or fit again (them too); set the environment "
        f"variable {SWITCH}=0 to continue with the current rows."
    )
