"""Contributions of places → colours over an image, or behind the words of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOURS = "PuOr_r"  # orange for, purple against: told apart with any colour vision
_LINE = 56  # letters
_LIGHT = 0.55


def paint_image(
    ax: Any,
    pixels: NDArray[np.uint8],
    contributions: NDArray[np.float64],
    box: tuple[float, float, float, float],
    *,
    cmap: str,
    alpha: float,
) -> Any:
    """Draw an image in grey with the contributions over it; return what a colour bar needs."""
    most = np.abs(contributions).max() or 1.0
    left, top, right, bottom = box
    ax.imshow(pixels.mean(axis=2), cmap="gray", vmin=-64, vmax=300)
    image = ax.imshow(
        contributions, cmap=cmap, alpha=alpha, vmin=-most, vmax=most,
        extent=(left, right, bottom, top), interpolation="nearest",
    )  # fmt: skip
    height, width = pixels.shape[:2]
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    return image


def paint_words(
    ax: Any, words: Sequence[str], contributions: NDArray[np.float64], *, cmap: str
) -> Any:
    """Write words with their contributions as colours behind them."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    most = np.abs(contributions).max() or 1.0
    shown = ScalarMappable(Normalize(-most, most), mpl.colormaps[cmap])
    column, line, longest, written = 0, 0, 1, []
    for whole, value in zip(words, contributions, strict=True):
        word = whole if len(whole) < _LINE else f"{whole[: _LINE - 2]}…"
        size = len(word) + 1
        if column and column + size > _LINE:
            column, line = 0, line + 1
        colour = np.array(shown.to_rgba(value))
        ax.add_patch(Rectangle((column, line), size - 0.15, 0.86, color=colour, linewidth=0))
        dark = colour[:3] @ [0.3, 0.6, 0.1] < _LIGHT
        written.append(
            ax.text(
                column + (size - 0.15) / 2, line + 0.45, word.replace("$", r"\$"),
                family="monospace", ha="center", va="center", color="white" if dark else "black",
            )
        )  # fmt: skip
        column += size
        longest = max(longest, column)
    for text in written:
        text.set_fontsize(_points(ax, longest))
    ax.set(xlim=(0, longest), ylim=(max(line + 1, 3), 0))
    ax.axis("off")
    return shown


def _points(ax: Any, letters: int) -> float:
    """Return the size at which so many letters of a monospaced font fit beside a colour bar."""
    width = 0.9 * ax.figure.get_size_inches()[0] * ax.get_position().width * 72
    return float(min(11.0, width / letters / 0.62))
