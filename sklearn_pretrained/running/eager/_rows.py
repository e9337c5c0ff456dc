"""A network, a batch and outputs → the rows of each output, in code that can be traced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ...backbones import Backbone
from ...layers import Layer
from ...taps import Tap, pool, read
from .._runner import Outputs
from ._runner import mask_of


def rows_of(
    backbone: Backbone,
    network: nn.Module,
    batch: Any,
    outputs: Outputs,
    trained: Sequence[nn.Module],
    *,
    stops: bool,
) -> list[Tensor]:
    """Run a network once, and pool what each output reads.

    Parameters
    ----------
    backbone, network, batch
        What runs, and over what.
    outputs : sequence of (Layer, str)
        Each once.
    trained : sequence of nn.Module
        What rows go through behind the pooling.
    stops : bool
        Whether the network is left behind the deepest of the layers.
    """
    mask = backbone.mask(batch)

    def tap(i: int, layer: Layer, pooling: str) -> Tap:
        def reduce(x: Tensor) -> Tensor:
            rows = pool(x, pooling, layer.layout, mask_of(x, mask, layer), trained)
            # What runs on works in place at times, and a row may be a view.
            return rows.float().clone()

        return Tap(str(i), layer.module, layer.side, layer.calls, reduce)

    taps = [tap(i, *output) for i, output in enumerate(outputs)]
    found = read(network, lambda net: backbone.call(net, batch), taps, stops=stops)
    return [found[str(i)] for i in range(len(taps))]
