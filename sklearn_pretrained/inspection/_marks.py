"""Colours and markers that anyone can tell apart, and which points of a map have room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D", "#B8A800")
"""Okabe and Ito's, the yellow darkened, for white paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
SAME, OTHER = COLOURS[0], COLOURS[1]


def spread(positions: NDArray[np.float64], most: int) -> list[int]:
    """Choose points far from each other: each next one is farthest from those chosen so far."""
    if most <= 0:
        return []
    extent = np.ptp(positions, axis=0)
    scaled = positions / np.where(extent > 0, extent, 1)
    chosen = [0]
    gap = np.linalg.norm(scaled - scaled[0], axis=1)
    least = 0.7 / np.sqrt(most)
    while len(chosen) < min(most, len(positions)) and gap.max() > least:
        chosen.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return chosen
