"""Layers with their poolings → what a forward reads, and the records that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._sklearn import HasMethods
from .exceptions import LayerError
from .recipe import Bundle

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
        from .taps import names

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


def outputs_of_texts(plan: Plan, layer: Any, pooling: str, backbone: Any) -> list[Output]:
    """Resolve what a text featurizer's layer and pooling ask for, over windows where these are."""
    outputs = _of_texts(plan, layer, pooling, backbone)
    if backbone.truncation == "windows":
        from .taps import check_outputs

        check_outputs(outputs)
    return outputs


def _of_texts(plan: Plan, layer: Any, pooling: str, backbone: Any) -> list[Output]:
    from .recipe import parsed

    layers = plan.resolve(layer)
    are_last = {one.name for one in layers} <= {plan.stages[-1], "penultimate"}
    if pooling == "pooler":
        if not are_last:
            raise LayerError(
                "pooling='pooler' reads the last hidden state, on which the pooler was trained; "
                f"got layer={layer!r}. Use pooling='cls' for other layers."
            )
        if "pooler" not in plan.layers:
            raise LayerError(f"{plan.name} has no pooler; use pooling='cls' or 'mean'.")
        return [(plan.layers["pooler"], "flatten")]
    if pooling != "auto":
        named = "mean" if pooling == "avg" else pooling
        return [(one, one.pooling(named)) for one in layers]
    vectors = {one for one in layers if len(one.shape) == 1}
    # Other vectors than the default one are asked for by name, and pooled by nothing.
    is_default = layer == "penultimate"
    own = backbone.pooling if is_default or len(vectors) < len(layers) else "auto"
    if parsed(own).has_weights and not are_last:
        raise LayerError(
            f"pooling='auto' of {plan.name} is {own!r}, which was trained on the last hidden "
            f"state; got layer={layer!r}. Use pooling='mean' for other layers."
        )
    return [(one, one.pooling("auto" if one in vectors else own)) for one in layers]


def with_more(wanted: Sequence[Output], keep: Any, plan: Plan, backbone: Backbone) -> list[Output]:
    """Add to what is wanted the cheap poolings, and the wanted ones, of layers that are kept.

    Parameters
    ----------
    wanted : sequence of Output
    keep : "main", list of layers or None
        "main" is the layers that a search is likely to ask for.
    plan : Plan
    backbone : Backbone
    """
    from .layers import PENULTIMATE

    if keep is None:
        return list(dict.fromkeys(wanted))
    names = (*plan.stages, PENULTIMATE, *backbone.also_kept)
    main = [plan.layers[name] for name in names if name in plan.layers]
    layers = main if keep == "main" else plan.resolve(list(keep))
    # A vector's pooling is "flatten"; a map's would be as large as many an image.
    tried = [*backbone.poolings, *(pooling for _, pooling in wanted if pooling not in WHOLE)]
    more = [(layer, pooling) for layer in layers for pooling in layer.allowed(tried)]
    return list(dict.fromkeys([*wanted, *more]))


def columns(model: str, widths: Sequence[tuple[str, int]]) -> NDArray[np.object_]:
    """Name the columns of rows, from the widths of its layers: network, layer and number."""
    names = [
        f"{model.rpartition('/')[2]}_{layer}_{i}" for layer, width in widths for i in range(width)
    ]
    return np.asarray(names, dtype=object)


def rounded(rows: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    """Return the numbers that rows are in another precision, in float32."""
    if dtype == "float32":
        return rows
    most, limit = float(np.nanmax(np.abs(rows), initial=0.0)), float(np.finfo(dtype).max)
    if most > limit:
        raise ValueError(
            f"The network returns {most:.3g}, and {dtype} holds numbers up to {limit:.0f}. Use "
            "record_dtype='float32'."
        )
    return rows.astype(dtype).astype(np.float32)


def in_order(
    rows: NDArray[np.float32], ask: Bundle, wanted: Sequence[Output]
) -> NDArray[np.float32]:
    """Give a layer that was named twice its columns twice."""
    if len(wanted) == len(ask.outputs):
        return rows
    return np.hstack([rows[:, ask.offsets[key(output)]] for output in wanted])
