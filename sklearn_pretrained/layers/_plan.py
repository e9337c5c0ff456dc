"""What is known of a network's layers: names, shapes, widths, costs; and which one is meant."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from typing import Any

from ..exceptions import LayerError
from ..process import remembered
from ..recipe import parsed
from ..taps import Layout, _pooling

PENULTIMATE = "penultimate"
OUTPUT = "output"


@dataclass(frozen=True)
class Layer:
    """One place of a network that can be read.

    Parameters
    ----------
    name : str
        What users call it.
    module, side, calls
        Where it is tapped: submodule, its output or input, and at which of its runs.
    shape : tuple of int
        Of one item's activation.
    layout : Layout or None
        Which axis holds the channels, None where that cannot be told.
    cost : float
        Share of the whole network's work that is done when this layer is reached.
    """

    name: str
    module: str
    side: str
    calls: int
    shape: tuple[int, ...]
    layout: Layout | None
    cost: float

    def pooling(self, asked: str) -> str:
        """Resolve "auto", and refuse a pooling that makes no sense here."""
        chosen = _pooling.automatic(self.shape, self.layout) if asked == "auto" else asked
        chosen = str.__str__(chosen)  # a member of a str enum is its value
        reason = _pooling.why_not(chosen, self.shape, self.layout)
        if reason is not None:
            raise LayerError(f"pooling={chosen!r} cannot be used at layer {self.name!r}: {reason}.")
        return chosen

    def width(self, pooling: str) -> int:
        """Count the columns that a pooling gives here."""
        found = self._widths.get(pooling)
        if found is None:
            found = self._widths[pooling] = _pooling.width(pooling, self.shape, self.layout)
        return found

    @cached_property
    def _widths(self) -> dict[str, int]:
        return {}

    def allowed(self, poolings: Sequence[str]) -> list[str]:
        """Choose those of some poolings that make sense here."""
        return [*_allowed(tuple(poolings), self.shape, self.layout)]


@remembered("poolings that suit layers", maxsize=4096)
def _allowed(
    poolings: tuple[str, ...], shape: tuple[int, ...], layout: Layout | None
) -> tuple[str, ...]:
    if len(shape) == 1:
        return ("flatten",)
    return tuple(
        p
        for p in poolings
        if not parsed(p).has_weights and _pooling.why_not(p, shape, layout) is None
    )


@dataclass(frozen=True)
class Plan:
    """The layers of one network, in the order in which they are reached.

    Parameters
    ----------
    name : str
        The network.
    layers : dict of str to Layer
        Every layer by its name.
    stages : tuple of str
        The main stages, which integers and depths count.
    flops : float
        Floating-point operations of the whole network over one item.
    unread : dict of str to str
        Main stages that cannot be read, and why.
    """

    name: str
    layers: dict[str, Layer]
    stages: tuple[str, ...]
    flops: float
    unread: dict[str, str] = field(default_factory=dict)

    def resolve(self, layer: Any) -> tuple[Layer, ...]:
        """Turn what a user may write (name, int, depth, or a list) into layers."""
        asked = layer if isinstance(layer, list | tuple) else [layer]
        if not asked:
            raise LayerError("layer=[] is empty; name at least one layer.")
        return tuple(self._one(one) for one in asked)

    def _one(self, asked: Any) -> Layer:
        n = len(self.stages)
        if isinstance(asked, str):
            if asked in self.layers:
                return self.layers[asked]
            if asked in self.unread:
                readable = [name for name in self.stages if name in self.layers]
                raise LayerError(
                    f"{asked} of {self.name} cannot be read: {self.unread[asked]}. Those that can "
                    f"are {', '.join(readable) or 'none'}, and {PENULTIMATE!r}."
                )
            near = difflib.get_close_matches(asked, self.layers, n=3, cutoff=0.0)
            raise LayerError(
                f"{self.name} has no layer {asked!r}. The nearest names are "
                f"{', '.join(map(repr, near))}; list_layers({self.name!r}) shows the main ones."
            )
        if isinstance(asked, bool) or not isinstance(asked, Real):
            raise LayerError(
                "layer must be a name, an int, a float in (0, 1], or a list of them, "
                f"got {asked!r}."
            )
        if isinstance(asked, Integral):
            index = int(asked)
            if not -n <= index < n:
                raise LayerError(
                    f"layer={asked} is out of range: {self.name} has {n} main stages, "
                    f"0 to {n - 1} or -{n} to -1."
                )
            return self._one(self.stages[index])
        depth = float(asked)
        if not 0.0 < depth <= 1.0:
            raise LayerError(
                f"layer={asked} is not a valid relative depth: a float must be in (0, 1]."
            )
        return self._one(self.stages[max(0, math.ceil(depth * n - 1e-9) - 1)])
