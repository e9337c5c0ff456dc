"""A fitted featurizer or fine-tuned estimator and one item → its row, and its layers' maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..finetuning._network import load_tensors, tuned_rows
from ..finetuning._skeleton import BaseFineTuned
from ..layers import Layer
from ..tails import tail_of

Floats = NDArray[np.float64]


class ItemReading:
    """One item, read by a featurizer, or by the network that was tuned behind it.

    Parameters
    ----------
    reader : BaseFeaturizer or BaseFineTuned
        Fitted.
    item : object
        As the featurizer takes it.
    """

    def __init__(self, reader: Any, item: Any) -> None:
        self._tuned = reader if isinstance(reader, BaseFineTuned) else None
        self.featurizer = reader.featurizer_ if self._tuned is not None else reader
        self.road = self.featurizer.road()
        self.item = item
        if self._tuned is not None and self._tuned.trunk_ is None:
            self._tuned = None
        self.row: Floats = reader.transform([item])[0].astype(np.float64)

    @property
    def least_cost(self) -> float:
        """Cost of the deepest layer below which nothing can be read as the row was made."""
        if self._tuned is None:
            return 0.0
        return self.road.plan.layers[self._tuned.train_from_].cost

    def map(self, layer: Layer) -> Floats:
        """Read all positions of a layer, in its own shape."""
        if self._tuned is None:
            return self._frozen(layer).astype(np.float64)
        from ..running import resolve_devices

        device = resolve_devices(self.featurizer.device)[0]
        tail = tail_of(
            self.road.backbone, self._tuned.train_from_, [(layer, "none")], device=device
        )
        known = tail.parameters().keys()
        load_tensors(tail, {n: x for n, x in self._tuned.changed_.items() if n in known})
        flat = tuned_rows(tail, self._tuned.trunk_.transform([self.item]))[0]
        # Texts have a length of their own, and are sequences.
        shape = layer.shape if flat.size == np.prod(layer.shape) else (-1, *layer.shape[1:])
        return flat.reshape(shape).astype(np.float64)

    def _frozen(self, layer: Layer) -> Any:
        from ..cache._cache import resolve_cache
        from ..road import by_length
        from ..running import Runners

        outputs = [(layer, "none")]
        way = replace(self.road, outputs=outputs, kept=outputs, canary=None)
        items = self.featurizer._read([self.item], reset=False)  # noqa: SLF001  one of us
        if hasattr(way.backbone, "pieces"):
            ((_, items, way),) = by_length(items, way)
        own = self.featurizer
        runners = Runners(own.device, own.dtype_, own.weights_digest_, 1)
        return way.rows(items, resolve_cache(None), runners)[0]

    def content(self) -> Any:
        """Return the item's content: pixels as a person sees them, or the text."""
        return self.featurizer._read([self.item], reset=False).load(0)  # noqa: SLF001
