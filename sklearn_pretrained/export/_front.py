"""A graph that reads prepared items → one that reads items as they are, and its proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..exceptions import ExportError
from ..exported import ExportedPipeline
from ..exported._reading import reader
from ..process import need
from ._decoding import BYTES, decoding_graph
from ._inputs import Input, samples_of
from ._resizing import PIXELS, PREPARED, resizing_graph
from ._tokenising import TEXT, rename
from ._tokens_proof import best_operator
from ._torch import EXTRA, PURPOSE

Facts = dict[str, Any]
Graphs = list[tuple[str, Any, dict[str, str]]]
"""Of each graph its name, if its tensors have none of its own, and which input of what follows each
of its outputs is."""


def _of_pixels(one: Input, like: Any) -> tuple[Graphs, Facts, list[Facts]]:
    assert one.network is not None
    graph = resizing_graph(one.form["geometry"], like)
    (read,) = one.network.batch
    form = {"name": PIXELS, "shape": ["height", "width", 3], "even": True}
    return [("prepare/", graph, {PREPARED: read})], form, []


def _of_bytes(one: Input, like: Any) -> tuple[Graphs, Facts, list[Facts]]:
    pixels, told, _ = _of_pixels(one, like)
    told |= {"name": BYTES, "shape": ["length"], "alone": True}
    return [("decode/", decoding_graph(like), {PIXELS: PIXELS}), *pixels], told, []


def _of_text(one: Input, like: Any) -> tuple[Graphs, Facts, list[Facts]]:
    assert one.network is not None
    read = list(one.network.batch)
    graph, told = best_operator(one.form, one.tokenizer, read, like)
    if one.prefix:
        told["step"] += f" of {one.prefix[:-1]}"
    # ONNX's own prefixes stop at the graphs within.
    rename(graph.graph, lambda name: one.prefix + name)
    feeds = {f"{name}_read": name for name in read}
    return [("", graph, feeds)], {"name": TEXT, "dtype": "string"}, [told]


_FRONTS: dict[str, Callable[[Input, Any], tuple[Graphs, Facts, list[Facts]]]] = {
    PIXELS: _of_pixels,
    BYTES: _of_bytes,
    TEXT: _of_text,
}


def fronts(inputs: Sequence[Input], like: Any) -> tuple[list[Graphs], list[Input], list[Facts]]:
    """Build what prepares the items of each input, as it was asked for.

    Parameters
    ----------
    inputs : sequence of Input
    like : ModelProto
        Whose opset and version of the format the graphs have.

    Returns
    -------
    list of list of (str, ModelProto)
        For each input what comes in front of the network, in order.
    list of Input
        What is fed now.
    list of dict
        What the report says of it.
    """
    graphs: list[Graphs] = []
    fed: list[Input] = []
    report: list[Facts] = []
    for one in inputs:
        made, form, told = _FRONTS[one.asked](one, like) if one.asked in _FRONTS else ([], {}, [])
        graphs.append(made)
        fed.append(replace(one, form={**one.form, "kind": one.asked, **form}) if made else one)
        report += told
    return graphs, fed, report


def joined(graphs: Sequence[Graphs], inputs: Sequence[Input], model: Any) -> Any:
    """Put what prepares items in front of a graph.

    Parameters
    ----------
    graphs, inputs : sequence
        As `fronts` gives them.
    model : ModelProto
    """
    for made, one in zip(graphs, inputs, strict=True):
        for name, graph, feeds in reversed(made):
            model = _with(graph, name, feeds, one.prefix, model)
    return model


def _with(front: Any, name: str, feeds: dict[str, str], prefix: str, model: Any) -> Any:
    """Put one graph in front of another; its prepared pixels stay an output."""
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    if name:
        front = onnx.compose.add_prefix(front, name, rename_inputs=False, rename_outputs=False)
        front = onnx.compose.add_prefix(front, prefix)
    fed = {prefix + read: prefix + given for given, read in feeds.items()}
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for field in ("node", "input", "output"):
        whole.graph.ClearField(field)
    make = onnx.helper.make_node
    nodes = [make("Identity", [given], [read]) for read, given in fed.items() if given != read]
    whole.graph.node.extend([*front.graph.node, *nodes, *model.graph.node])
    whole.graph.initializer.extend(front.graph.initializer)
    others = (value for value in model.graph.input if value.name not in fed)
    whole.graph.input.extend([*front.graph.input, *others])
    kept = [one for one in front.graph.output if one.name == prefix + PREPARED in fed.values()]
    whole.graph.output.extend([*kept, *model.graph.output])
    whole.functions.extend(front.functions)
    known = {entry.domain for entry in whole.opset_import}
    whole.opset_import.extend(one for one in front.opset_import if one.domain not in known)
    return whole


def with_samples(inputs: Sequence[Input], examples: Any) -> list[Input]:
    """Read the examples as the file does, where its graph prepares them."""
    return [
        replace(one, samples=reader(one.form, {"": one.tokenizer}).samples(one.read(examples)))
        if one.asked in _FRONTS
        else one
        for one in inputs
    ]


def check_pixels(
    runtime: ExportedPipeline, inputs: Sequence[Input], prepared: Sequence[Input]
) -> list[Facts]:
    """Compare pixels that the graph prepared with the library's, of which none may differ.

    Parameters
    ----------
    runtime : ExportedPipeline
    inputs : sequence of Input
        With what they are fed.
    prepared : sequence of Input
        With what the library makes of it.
    """
    told = []
    for one, ready in zip(inputs, prepared, strict=True):
        if one.asked not in {PIXELS, BYTES}:
            continue
        name = f"preparation of {one.prefix[:-1]}" if one.prefix else "preparation"
        for i, (sample, wanted) in enumerate(zip(samples_of(inputs), ready.samples, strict=True)):
            found = runtime.tensor(sample, one.prefix + PREPARED)
            if not np.array_equal(found, wanted):
                raise ExportError(
                    f"The {name} differs: the graph prepares example {i} differently from the "
                    "library. Nothing was written."
                )
        told.append({"step": name, "largest": 0.0, "allowed": 0})
    return told
