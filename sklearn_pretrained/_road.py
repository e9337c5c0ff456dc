"""The road of a row: items → digests → rows that are known, and forwards for the others → rows.

Read it from top to bottom. `Road.rows` and `Road.stream` take X window by window; a window's items
are digested (`inputs`), the cache (`cache`) serves what it knows and has the rest computed by
`_Computing`, which sends it through the network (`running`). Nothing here calls up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._outputs import Output, bundle, in_order, key
from ._recipe import Bundle
from ._tally import Tally
from .cache import Cache, Request, Work

if TYPE_CHECKING:
    from .backbones import Backbone
    from .inputs import Items
    from .layers import Plan
    from .pinned import Canary
    from .running import Runners

Rows = NDArray[np.float32]
_AT_ONCE = 64  # activations of a lower layer, which are large


@dataclass(frozen=True)
class Detour:
    """Another way to a row: from what an earlier forward kept of a lower layer.

    Parameters
    ----------
    start : (Layer, str)
        What was kept.
    rest : callable
        Makes the rows of a road's outputs of it; None where it cannot.
    computes : bool
        Whether what is not known of the start is computed and kept, so that all rows come by it.
    """

    start: Output
    rest: Callable[[Rows], Rows | None]
    computes: bool = False


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
    detour : Detour or None
        Tried for rows that are not known, before the network.
    """

    backbone: Backbone
    plan: Plan
    outputs: Sequence[Output]
    kept: Sequence[Output]
    recipe: str
    canary: Canary | None = None
    detour: Detour | None = None

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
        request = self._request(items, cache, runners, tally)
        asked = bundle(request.recipe, self.outputs)
        out = np.full((len(items), asked.width), np.nan, dtype=np.float32)
        first: dict[bytes, int] = {}
        for window in windows(items, runners.batch_size):
            digests = request.tally.digests(window)
            again = {}
            for k, digest in enumerate(digests):
                if digest is not None and first.setdefault(digest, window[k]) < window.start:
                    again[window[k]], digests[k] = first[digest], None
            self._through(request, window, digests, out[window.start : window.stop])
            out[list(again)] = out[list(again.values())]
            request.tally.found_again(out[list(again)])
        return self._formed(out, asked)

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
        request = self._request(items, cache, runners, tally)
        asked = bundle(request.recipe, self.outputs)
        for window in windows(items, runners.batch_size):
            out = np.full((len(window), asked.width), np.nan, dtype=np.float32)
            self._through(request, window, request.tally.digests(window), out)
            yield window, self._formed(out, asked)
            del out  # the caller's rows are his own to keep

    def warm_up(self, runners: Runners) -> None:
        """Do what the first rows would otherwise wait for; ``runners`` is that of `rows`."""
        from .running import Reading, warm_up

        loaded = runners.load(self.backbone)
        # An activation of tokens has no length before its text is there.
        pooled = [(layer, layer.pooling("auto") if p == "none" else p) for layer, p in self.outputs]
        if self.canary is not None and pooled == list(self.outputs):
            for runner in loaded:
                self.canary.check(self.backbone, runner, Reading(tuple(self.kept)))
        warm_up(loaded, self.backbone, Reading(tuple(pooled)))

    def _request(
        self, items: Items, cache: Cache, runners: Runners, tally: Tally | None
    ) -> _Request:
        recipe = self.named(cache, runners)
        if self.canary is not None:
            self.canary.recall()  # rows that are known are not computed again
        return _Request(items, cache, runners, tally or Tally(items), recipe)

    def named(self, cache: Cache, runners: Runners) -> str:
        """Return what the rows are called in a cache.

        Parameters
        ----------
        cache, runners
            As in `rows`.

        Returns
        -------
        str
            The recipe, or another name where other versions filled the cache with other rows.
        """
        if self.canary is not None and getattr(cache, "lasting", False):
            return self._name_in(cache, runners, self.canary)
        return self.recipe

    def _name_in(self, cache: Cache, runners: Runners, canary: Canary) -> str:
        """Find what the rows are called in a cache that other versions may have filled."""
        from .pinned import name_in, versions
        from .running import Reading

        def sketch(names: Sequence[str] | None) -> dict[str, str] | None:
            outputs, asked = tuple(self.kept), len(set(self.outputs))
            if names is not None:
                parts = [name.rpartition(":") for name in names]
                there = [(layer, p) for layer, _, p in parts if layer in self.plan.layers]
                outputs = tuple((self.plan.layers[layer], pooling) for layer, pooling in there)
                asked = len(outputs)
            runner = runners.load(self.backbone)[0]
            return canary.sketches(self.backbone, runner, Reading(outputs, asked=asked))

        ours = versions(self.backbone.libraries)
        name, kept = name_in(cache, self.recipe, ours, runners.dtype, sketch)
        canary.believe(kept)
        return name

    def _through(
        self, request: _Request, window: range, digests: Sequence[bytes | None], out: Rows
    ) -> None:
        """Fill one window's rows: those that are known, then those that must be computed."""
        if self.detour is not None:
            self._go_round(request, window, digests, self.detour)
        tally = request.tally
        asked = Request(
            bundle(request.recipe, self.outputs),
            bundle(request.recipe, self.kept),
            digests,
            _Computing(self, request, window),
            out,
            tally.forecast,
            tally.waiting,
        )
        tally.work.add(request.cache.fetch(asked))
        request.items.let_go()

    def _go_round(
        self, request: _Request, window: range, digests: Sequence[bytes | None], detour: Detour
    ) -> None:
        """Give the cache the rows that follow from what is known of a lower layer."""
        asked = bundle(request.recipe, self.outputs)
        for i in range(0, len(window), _AT_ONCE):
            some = list(digests[i : i + _AT_ONCE])
            ok = _known(request, asked, some)[1]
            first: dict[bytes, int] = {}
            for k, digest in enumerate(some):
                if digest is not None and not ok[k]:
                    first.setdefault(digest, k)
            unknown = [d if first.get(d or b"") == k else None for k, d in enumerate(some)]
            kept = self._start(request, window[i : i + _AT_ONCE], unknown, detour)
            there = [k for k in first.values() if np.isfinite(kept[k]).all()]
            rows = detour.rest(kept[there]) if there else None
            if rows is not None:
                request.cache.add(asked, [some[k] or b"" for k in there], rows)

    def _start(
        self, request: _Request, window: range, digests: Sequence[bytes | None], detour: Detour
    ) -> Rows:
        """Return what is known of the lower layer; where the detour says so, compute the rest."""
        below = bundle(request.recipe, [detour.start])
        if not detour.computes:
            return _known(request, below, digests)[0]
        start = [detour.start]
        lower = replace(self, outputs=start, kept=start, canary=None, detour=None)
        kept: Rows = np.full((len(window), below.width), np.nan, dtype=np.float32)
        before = replace(request.tally.work)
        Road._through(lower, request, window, digests, kept)
        computed = request.tally.work.computed - before.computed
        # They are asked for on the whole road, where what follows from them is known.
        before.add(Work(0, -computed, computed, 0))
        request.tally.work = before
        if computed and self.canary is not None:
            self._check(request, self.canary)
        return kept

    def _check(self, request: _Request, canary: Canary) -> None:
        from .running import Reading

        for runner in request.runners.load(self.backbone):
            canary.check(self.backbone, runner, Reading(tuple(self.outputs)))

    def _formed(self, out: Rows, asked: Bundle) -> Rows:
        out = in_order(out, asked, self.outputs)
        layer, pooling = self.outputs[0]
        return out.reshape(len(out), *layer.shape) if pooling == "none" else out


@dataclass(frozen=True)
class _Request:
    """What travels together: what is asked for, what knows, what computes, what is told."""

    items: Items
    cache: Cache
    runners: Runners
    tally: Tally
    recipe: str


def _known(
    request: _Request, wanted: Bundle, digests: Sequence[bytes | None]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return what the cache knows of some items, and of which."""
    out: Rows = np.full((len(digests), wanted.width), np.nan, dtype=np.float32)
    request.cache.known(wanted, digests, out)
    whole: Any = np.isfinite(out).all(axis=1)
    return out, whole


class _Computing:
    """What a cache calls for the rows that it does not know: positions → batches of rows."""

    def __init__(self, road: Road, request: _Request, window: range) -> None:
        self._road, self._request, self._start = road, request, window.start

    def __call__(
        self, positions: Sequence[int], chosen: Bundle
    ) -> Iterator[tuple[list[int], Rows]]:
        """Send items through the network, and read what the bundle names."""
        from .running import Reading, embed

        road, request, start = self._road, self._request, self._start
        by_name = {key(output): output for output in road.kept}
        outputs = tuple(by_name[name] for name, _ in chosen.outputs)
        reading = Reading(outputs, asked=len(set(road.outputs)))
        computing = request.runners.load(road.backbone)
        if road.canary is not None:
            for runner in computing:
                road.canary.check(road.backbone, runner, replace(reading))
        for where, rows in embed(
            request.items,
            [start + k for k in positions],
            backbone=road.backbone,
            runners=computing,
            reading=reading,
            batch_size=request.runners.batch_size,
            on_bad=request.tally.bad.add,
            on_batch=request.tally.done,
        ):
            yield [i - start for i in where], rows


def windows(items: Items, batch_size: int | str) -> Iterator[range]:
    """Cut X into windows, so that what is read of one is still at hand when it is computed."""
    step = 1 if batch_size == "auto" else int(batch_size)
    size = -(-items.at_once // step) * step
    for start in range(0, len(items), size):
        yield range(start, min(start + size, len(items)))
