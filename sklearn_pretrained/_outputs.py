"""Layers with their poolings → what a forward reads, and the records that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._recipe import Bundle
from ._sklearn import HasMethods

if TYPE_CHECKING:
    from .backbones import Backbone
    from .layers import Layer, Plan

    Output = tuple[Layer, str]
else:
    Output = tuple


WHOLE = frozenset({"flatten", "none"})
"""Poolings that keep every value."""


class PoolingNamed(HasMethods):  # scikit-learn takes no other kinds than its own
    """The names of poolings, looked up when they are needed, since they come with torch.

    Parameters
    ----------
    over : {"images", "texts"}
    further : str
        What may be named besides.
    """

    def __init__(self, over: str, *further: str) -> None:
        super().__init__([])
        self.over, self.further = over, further

    def _options(self) -> set[str]:
        from ._pooling import names

        return {*self.further, *names(self.over)}

    def is_satisfied_by(self, val: Any) -> bool:
        """Tell the name of a pooling."""
        return isinstance(val, str) and val in self._options()

    def __str__(self) -> str:
        return f"a str among {sorted(self._options())}"


def key(output: Output) -> str:
    """Name an output as records do."""
    layer, pooling = output
    return f"{layer.name}:{pooling}"


def bundle(recipe: str, outputs: Sequence[Output]) -> Bundle:
    """Lay outputs side by side in one record."""
    widths = {key(output): output[0].width(output[1]) for output in outputs}
    return Bundle(recipe, tuple(widths.items()))


def main_layers(plan: Plan, backbone: Backbone) -> list[Layer]:
    """List the layers that a search is likely to ask for."""
    from .layers import PENULTIMATE

    names = (*plan.stages, PENULTIMATE, *backbone.also_kept)
    return [plan.layers[name] for name in names if name in plan.layers]


def with_more(
    wanted: Sequence[Output], layers: Sequence[Layer], poolings: Sequence[str]
) -> list[Output]:
    """Add to what is wanted the cheap poolings, and the wanted ones, of further layers."""
    # A vector's pooling is "flatten"; a map's would be as large as many an image.
    tried = [*poolings, *(pooling for _, pooling in wanted if pooling not in WHOLE)]
    more = [(layer, pooling) for layer in layers for pooling in layer.allowed(tried)]
    return list(dict.fromkeys([*wanted, *more]))


def in_order(
    rows: NDArray[np.float32], ask: Bundle, wanted: Sequence[Output]
) -> NDArray[np.float32]:
    """Give a layer that was named twice its columns twice."""
    if len(wanted) == len(ask.outputs):
        return rows
    return np.hstack([rows[:, ask.offsets[key(output)]] for output in wanted])
