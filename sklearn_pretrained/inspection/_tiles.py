"""A small image, a place and a title → a framed tile on axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._items import Shown

SIDE = 0.9


def tile(ax: Any, item: Shown, at: tuple[float, float], title: str, colour: str) -> None:
    """Draw an image in the middle of a framed square, with its title below."""
    from matplotlib.patches import Rectangle

    x, y = at
    if isinstance(item, np.ndarray):
        high, wide = item.shape[0] / max(item.shape[:2]), item.shape[1] / max(item.shape[:2])
        left, top = x + SIDE / 2 * (1 - wide), y + SIDE / 2 * (1 - high)
        ax.imshow(item, extent=(left, left + SIDE * wide, top + SIDE * high, top))
    ax.add_patch(Rectangle((x, y), SIDE, SIDE, fill=False, edgecolor=colour, linewidth=2))
    ax.text(x + SIDE / 2, y + SIDE + 0.03, title, ha="center", va="top", fontsize="x-small")
