"""The road of a row: items → digests → rows that are known, and forwards for the others → rows.

Read it from top to bottom. `Road.rows` and `Road.stream` take X window by window; a window's items
are digested (`inputs`), the cache (`cache`) serves what it knows and has the rest computed by
`Road._compute`, which sends it through the network (`running`). Nothing here calls up.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._outputs import Output, bundle, in_order, key, rounded
from .._tally import Tally
from ..cache import Cache, Request, Work
from ..exceptions import ProvenanceError
from ..recipe import Bundle, recipe_as

if TYPE_CHECKING:
    from ..backbones import Backbone
    from ..inputs import Items
    from ..layers import Plan
    from ..pinned import Canary
    from ..running import Reading, Runner, Runners

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Road:
    """The only way from items to rows: one network, what is read of it, and all that decides it.

    Parameters
    ----------
    backbone : Backbone
        The network, described and not loaded.
    plan : Plan
        Its layers.
    outputs : sequence of (Layer, str)
        What a row is made of: layers with their poolings, side by side.
    kept : sequence of (Layer, str)
        What a forward keeps for later requests; the outputs come first.
    recipe : str
        Fingerprint of all that decides a row, except which outputs are read.
    canary : Canary or None
        What is compared with the past before a network gives its first row.
    detour : callable or None
        Gives the cache rows that it can have by a shorter way, before the others are computed.
    dtype : {"float32", "float16"}
        What rows are rounded to.
    hooks : str
        What the hooks are called that were on every module of the process; the recipe states them.
    """

    backbone: Backbone
    plan: Plan
    outputs: Sequence[Output]
    kept: Sequence[Output]
    recipe: str
    canary: Canary | None = None
    detour: Any = None
    dtype: str = "float32"
    hooks: str = ""

    @functools.cached_property
    def asked(self) -> Bundle:
        """How the outputs lie in a record."""
        return bundle(recipe_as(self.recipe, self.dtype), self.outputs)

    @functools.cached_property
    def kept_with_it(self) -> Bundle:
        """How all that a forward keeps lies in a record."""
        return bundle(self.asked.recipe, self.kept)

    def reading(self, chosen: Bundle) -> Reading:
        """Return what a forward is to give for a bundle."""
        from ..running import Reading

        outputs, asked = self._read_for.get(chosen.outputs, ((), 0))
        if not outputs:
            by_name = {key(output): output for output in self.kept}
            outputs = tuple(by_name[name] for name, _ in chosen.outputs)
            asked = len(set(self.outputs))
            self._read_for[chosen.outputs] = outputs, asked
        return Reading(outputs, asked, self.recipe)

    @functools.cached_property
    def _read_for(self) -> dict[tuple[tuple[str, int], ...], tuple[tuple[Output, ...], int]]:
        return {}

    def rows(
        self, items: Items, cache: Cache, runners: Runners, tally: Tally | None = None
    ) -> Rows:
        """Compute the row of each item, in order; equal items are computed once.

        Parameters
        ----------
        items : Items
        cache : Cache
            What serves known rows, and keeps those that are computed.
        runners : Runners
            What computes; nothing is loaded as long as every row is known.
        tally : Tally, optional
            Told what happens on the way. Without it, an item that cannot be read is an error.

        Returns
        -------
        ndarray of shape (n, width), or (n, ...) with the pooling "none"
            Rows of items that cannot be read are NaN.
        """
        trip = self._trip(items, cache, runners, tally)
        asked = bundle(trip.recipe, self.outputs)
        out = np.full((len(items), asked.width), np.nan, dtype=np.float32)
        first: dict[bytes, int] = {}
        for window in windows(items, runners.batch_size):
            digests = trip.tally.digests(window)
            again = {}
            # The cache sees itself which items of one window are equal.
            for k, digest in enumerate(digests if len(window) < len(items) else ()):
                if digest is not None and first.setdefault(digest, window[k]) < window.start:
                    again[window[k]], digests[k] = first[digest], None
            work = self.through(trip, window, digests, out[window.start : window.stop])
            trip.tally.work.add(work)
            if again:
                out[list(again)] = out[list(again.values())]
                trip.tally.found_again(out[list(again)])
        return self.formed(out, asked)

    def stream(
        self, items: Items, cache: Cache, runners: Runners, tally: Tally | None = None
    ) -> Iterator[tuple[range, Rows]]:
        """Compute rows window by window, so that memory stays bounded however many there are.

        Parameters
        ----------
        items, cache, runners, tally
            As in `rows`.

        Yields
        ------
        positions, rows
            In order; together they are what `rows` returns.
        """
        trip = self._trip(items, cache, runners, tally)
        asked = bundle(trip.recipe, self.outputs)
        for window in windows(items, runners.batch_size):
            out = np.full((len(window), asked.width), np.nan, dtype=np.float32)
            trip.tally.work.add(self.through(trip, window, trip.tally.digests(window), out))
            yield window, self.formed(out, asked)
            del out  # the caller's rows are his own to keep

    def warm_up(self, runners: Runners) -> None:
        """Do what the first rows would otherwise wait for; ``runners`` is that of `rows`."""
        from ..running import Reading, warm_up

        # An activation of tokens has no length before its text is there.
        pooled = [(layer, layer.pooling("auto") if p == "none" else p) for layer, p in self.outputs]
        has_length = pooled != list(self.outputs)
        loaded = self.ready(runners, None if has_length else Reading(tuple(self.kept)))
        warm_up(loaded, self.backbone, Reading(tuple(pooled)))

    def ready(self, runners: Runners, reading: Reading | None) -> list[Runner]:
        """Load what computes, and compare what it gives for the canary with the past."""
        loaded = runners.load(self.backbone)
        if self.canary is not None and reading is not None:
            for runner in loaded:
                self.canary.check(self.backbone, runner, reading)
        return loaded

    def named(self, cache: Cache, runners: Runners) -> str:
        """Return what the rows are called in a cache.

        Parameters
        ----------
        cache, runners
            As in `rows`.

        Returns
        -------
        str
            The recipe, or another name where other versions filled the cache with other rows; with
            what the rows are rounded to.
        """
        if self.canary is None or not getattr(cache, "lasting", False):
            return recipe_as(self.recipe, self.dtype)
        from ..pinned import name_in, versions

        ours = versions(self.backbone.libraries)
        sketch = functools.partial(self._sketches, self.canary, runners)
        name, kept = name_in(cache, self.recipe, ours, runners.dtype, sketch)
        self.canary.believe(kept)
        return recipe_as(name, self.dtype)

    def _sketches(
        self, canary: Canary, runners: Runners, names: Sequence[str] | None
    ) -> dict[str, str] | None:
        """Compute the canary, of outputs that are named or of what a forward keeps."""
        from ..running import Reading

        outputs, asked = tuple(self.kept), len(set(self.outputs))
        if names is not None:
            parts = [name.rpartition(":") for name in names]
            there = [(layer, p) for layer, _, p in parts if layer in self.plan.layers]
            outputs = tuple((self.plan.layers[layer], pooling) for layer, pooling in there)
            asked = len(outputs)
        runner = runners.load(self.backbone)[0]
        return canary.sketches(self.backbone, runner, Reading(outputs, asked=asked))

    def _trip(self, items: Items, cache: Cache, runners: Runners, tally: Tally | None) -> Trip:
        recipe = self.named(cache, runners)
        if self.canary is not None:
            self.canary.recall()  # rows that are known are not computed again
        return Trip(items, cache, runners, tally or Tally(items), recipe)

    def through(
        self, trip: Trip, window: range, digests: Sequence[bytes | None], out: Rows
    ) -> Work:
        """Fill one window's rows: those that are known, then those that must be computed."""
        self.check_hooks()
        if self.detour is not None:
            self.detour(self, trip, window, digests)
        asked = Request(
            bundle(trip.recipe, self.outputs),
            bundle(trip.recipe, self.kept),
            digests,
            functools.partial(self._compute, trip, window.start),
            out,
            trip.tally.forecast,
            trip.tally.waiting,
        )
        work = trip.cache.fetch(asked)
        trip.items.let_go()
        return work

    def _compute(
        self, trip: Trip, start: int, positions: Sequence[int], chosen: Bundle
    ) -> Iterator[tuple[list[int], Rows]]:
        """Send items that the cache does not know through the network, and read a bundle."""
        from ..running import embed

        reading = self.reading(chosen)
        for where, rows in embed(
            trip.items,
            [start + k for k in positions],
            backbone=self.backbone,
            runners=self.ready(trip.runners, reading),
            reading=reading,
            batch_size=trip.runners.batch_size,
            on_bad=trip.tally.bad.add,
            on_batch=trip.tally.done,
        ):
            self.check_hooks()
            yield [i - start for i in where], rounded(rows, self.dtype)

    def check_hooks(self) -> None:
        """Refuse to go on under other hooks than those that the recipe states."""
        from ..backbones import key_of_hooks

        if key_of_hooks() != self.hooks:
            raise ProvenanceError(
                f"The hooks on every module of the process changed while rows of "
                f"{self.backbone.name} were computed: some were put there or removed, by "
                "torch.nn.modules.module.register_module_forward_hook or its like, or what they "
                "store changed. Leave them as they are until all rows are there, and call again."
            )

    def formed(self, out: Rows, asked: Bundle) -> Rows:
        """Bring rows from the form of a record into that of the outputs."""
        out = in_order(out, asked, self.outputs)
        layer, pooling = self.outputs[0]
        return out.reshape(len(out), *layer.shape) if pooling == "none" else out


@dataclass(frozen=True)
class Trip:
    """What travels together: what is asked for, what knows, what computes, what is told."""

    items: Items
    cache: Cache
    runners: Runners
    tally: Tally
    recipe: str


def windows(items: Items, batch_size: int | str) -> Iterator[range]:
    """Cut X into windows, so that what is read of one is still at hand when it is computed."""
    step = 1 if batch_size == "auto" else int(batch_size)
    size = -(-items.at_once // step) * step
    for start in range(0, len(items), size):
        yield range(start, min(start + size, len(items)))
