"""The runs of a network and a layer → which of them are replaced, so that the rest is its tail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from ..exceptions import LayerError
from ..layers import Layer
from ._runs import Key, Run
from ._script import RUN, Act


class Cut:
    """Where a network is cut: the runs that ended before the layer, and stand-ins for them.

    Parameters
    ----------
    runs : dict of Key to Run
        In the order of their beginnings, with forms as outputs.
    layer : Layer
        Where.
    reads : sequence of Layer
        What is read above it.
    """

    def __init__(self, runs: Mapping[Key, Run], layer: Layer, reads: Sequence[Layer]) -> None:
        self._runs, self._layer, self._reads = runs, layer, reads
        self._at = runs[layer.module, layer.calls]
        self._moment = self._at.ended if layer.side == "output" else self._at.began
        for read in reads:
            run = runs[read.module, read.calls]
            if (run.ended if read.side == "output" else run.began) <= self._moment:
                raise LayerError(f"nothing of the network lies between it and {read.name!r}")
        early = {key for key, run in runs.items() if self._is_early(run)}
        self.stubs = {key for key in early if not runs[key].within(early)}

    def _is_early(self, run: Run) -> bool:
        return run.ended <= self._moment

    def standing(self) -> list[Key]:
        """List what has a stand-in, in the order of the network."""
        return [key for key in self._runs if key in self.stubs]

    def parts(self, key: Key) -> set[Key]:
        """List the runs right inside of one."""
        return {other for other, run in self._runs.items() if run.inside is self._runs[key]}

    def open(self, key: Key) -> None:
        """Let a run happen, with stand-ins for its parts alone."""
        self.stubs.remove(key)
        self.stubs |= self.parts(key)

    def acts(self) -> dict[Key, Act]:
        """Write the script; runs are counted as they come, without those inside of stubs."""
        acts: dict[Key, Act] = {}
        counts: dict[str, int] = {}
        for key, run in self._runs.items():
            if run.within(self.stubs):
                continue
            name, _ = key
            counts[name] = counts.get(name, 0) + 1
            act = Act(stub=run.output if key in self.stubs else RUN, stands_for=key)
            if isinstance(act.stub, Exception):
                raise LayerError(str(act.stub))
            if run is self._at:
                act.is_given = self._layer.side == "input"
                act.gives = not act.is_given
            act.reads = [
                (i, read.side)
                for i, read in enumerate(self._reads)
                if (read.module, read.calls) == key
            ]
            if act != Act(stands_for=key):
                acts[name, counts[name]] = act
        return acts

    def lower(self) -> tuple[set[str], set[str]]:
        """Return the submodules that run before the cut alone, and all others that run."""
        after = {name for (name, _), run in self._runs.items() if not self._is_early(run)}
        return {name for name, _ in self._runs} - after, after


def reading(layers: Sequence[Layer]) -> dict[Key, Act]:
    """Write the script of the whole network, in which layers are read and nothing is replaced."""
    acts: dict[Key, Act] = {}
    for i, layer in enumerate(layers):
        acts.setdefault((layer.module, layer.calls), Act()).reads.append((i, layer.side))
    return acts


def passing_of(keys: list[Key], passes: Callable[[Collection[Key]], bool]) -> Iterator[Key]:
    """Find which of some pass, the last first; nearly all do not, so halves are tried."""
    if not keys or not passes(keys):
        return
    if len(keys) == 1:
        yield keys[0]
        return
    half = len(keys) // 2
    yield from passing_of(keys[half:], passes)
    yield from passing_of(keys[:half], passes)
