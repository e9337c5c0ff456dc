"""A graph in float32, and examples → the same with smaller weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..exported._reading import reader
from ._beside import Beside
from ._eight_bits import with_eight_bits
from ._graph import Graph
from ._halves import with_halved_weights
from ._inputs import Input, form_of, samples_of

_FEWEST, _MOST = 16, 128
"""How many examples there are at least, and how many of them calibrate at most."""


def check_weights_name(weights: str) -> None:
    """Raise where there are no such weights."""
    if weights not in WEIGHTS:
        raise ValueError(f"weights={weights!r} is not one of {', '.join(map(repr, WEIGHTS))}.")


def check_examples(weights: str, count: int) -> None:
    """Raise where there are too few examples to calibrate on."""
    if weights == "int8" and count < _FEWEST:
        raise ValueError(
            f"weights='int8' is calibrated on the examples, and {count} are too few: pass "
            f"{_FEWEST} at least, better a few hundred, of the kind that the pipeline will see."
        )


def with_smaller_weights(weights: str, graph: Graph, inputs: Sequence[Input], kept: Beside) -> Any:
    """Return a graph whose weights take less room, and are in it; the one given stays as it is.

    Parameters
    ----------
    weights : {"float16", "int8"}
    graph : Graph
        Which reads prepared items.
    inputs : sequence of Input
        Its inputs, with the examples.
    kept : Beside
        Where its weights are.
    """
    return _SMALLER[weights](graph, inputs, kept)


def _calibrated(graph: Graph, inputs: Sequence[Input], kept: Beside) -> Any:
    return with_eight_bits(kept.whole(graph.model), graph.computing, _batches(inputs))


def _halved(graph: Graph, _: Sequence[Input], kept: Beside) -> Any:
    return with_halved_weights(graph.model, kept.read)


def _batches(inputs: Sequence[Input]) -> Iterator[Any]:
    """Yield examples one by one, spread over all of them, as the graph is fed."""
    form, samples = form_of(inputs), samples_of(inputs)
    tokenizers = {one.prefix: one.tokenizer for one in inputs}
    feed = reader(form, tokenizers).feed
    yield from (feed([one]) for one in samples[:: -(-len(samples) // _MOST)])


_SMALLER: dict[str, Callable[[Graph, Sequence[Input], Beside], Any]] = {
    "float16": _halved,
    "int8": _calibrated,
}
AS_THEY_ARE = "float32"
WEIGHTS = (AS_THEY_ARE, *_SMALLER)
