"""A graph that reads prepared items → one that reads items as they are, and its proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._optional import need
from ..exceptions import ExportError
from ..exported import ExportedPipeline
from ._decoding import BYTES, decoding_graph
from ._resizing import PIXELS, PREPARED, resizing_graph
from ._tokenising import TEXT
from ._tokens_proof import best_operator
from ._torch import EXTRA, PURPOSE

Facts = dict[str, Any]
Graphs = list[tuple[str, Any]]


def _of_pixels(form: Facts, like: Any) -> tuple[Graphs, Facts]:
    graph = resizing_graph(form["geometry"], like)
    shape = ["height", "width", 3]
    return [("prepare/", graph)], {"kind": PIXELS, "name": PIXELS, "shape": shape, "even": True}


def _of_bytes(form: Facts, like: Any) -> tuple[Graphs, Facts]:
    if form["value_range"] is not None:
        raise ValueError(
            "inputs='bytes' reads images of 8 bits, and value_range is for others. Use "
            "inputs='pixels', or fit the pipeline without value_range."
        )
    pixels, told = _of_pixels(form, like)
    told |= {"kind": BYTES, "name": BYTES, "shape": ["length"], "alone": True}
    return [("decode/", decoding_graph(like)), *pixels], told


_EXTENSIONS = "sklearn-pretrained[onnx-extensions]"
_EXTENDED = (BYTES, TEXT)
_FRONTS: dict[str, Callable[[Facts, Any], tuple[Graphs, Facts]]] = {
    PIXELS: _of_pixels,
    BYTES: _of_bytes,
}
INPUTS = ("prepared", *_FRONTS, TEXT)


def check_inputs(inputs: str) -> None:
    """Raise where there is no such form of inputs, or what it needs is not installed."""
    if inputs not in INPUTS:
        raise ValueError(f"inputs={inputs!r} is not one of {', '.join(map(repr, INPUTS))}.")
    if inputs in _EXTENDED:
        need("onnxruntime_extensions", install=_EXTENSIONS, purpose=f"inputs={inputs!r}")


def with_preparation(
    model: Any, form: Facts, inputs: str, tokenizer: str
) -> tuple[Any, Facts, list[Facts]]:
    """Put what prepares items in front of a graph.

    Parameters
    ----------
    model : ModelProto
    form : dict
        What the file says of its input.
    inputs : {"prepared", "pixels", "bytes", "text"}
    tokenizer : str
        The content of its tokenizer.json, for texts.

    Returns
    -------
    ModelProto
    dict
        What the file says of its input.
    list of dict
        What the report says of it.
    """
    if inputs == "prepared":
        return model, form, []
    if inputs == TEXT:
        return _of_text(model, form, tokenizer)
    if form["kind"] != "pictures":
        raise ValueError(
            f"inputs={inputs!r} is for pipelines over images that are resized as torchvision's "
            "networks do and cropped at the centre. Use inputs='prepared' for others."
        )
    graphs, told = _FRONTS[inputs](form, model)
    for prefix, graph in reversed(graphs):
        model = _joined(prefix, graph, model)
    return model, {**form, **told}, []


def _of_text(model: Any, form: Facts, tokenizer: str) -> tuple[Any, Facts, list[Facts]]:
    if form["kind"] != "texts" or form["truncation"] == "error":
        raise ValueError(
            "inputs='text' is for a pipeline over one column of texts, which cuts those that are "
            "too long. Use inputs='prepared' for others."
        )
    front, told = best_operator(form, tokenizer, model)
    compose = need("onnx", install=EXTRA, purpose=PURPOSE).compose
    whole = compose.merge_models(
        front,
        model,
        io_map=[(f"{value.name}_read", value.name) for value in model.graph.input],
        outputs=[value.name for value in model.graph.output],
    )
    return whole, {**form, "kind": TEXT, "name": TEXT, "dtype": "string"}, [told]


def _joined(prefix: str, front: Any, model: Any) -> Any:
    """Put one graph in front of another, which reads its output; that of pixels is kept."""
    compose = need("onnx", install=EXTRA, purpose=PURPOSE).compose
    (given,) = (value.name for value in front.graph.output)
    front = compose.add_prefix(front, prefix, rename_inputs=False, rename_outputs=False)
    kept = [given] if given == PREPARED else []
    return compose.merge_models(
        front,
        model,
        io_map=[(given, model.graph.input[0].name)],
        outputs=[*kept, *(value.name for value in model.graph.output)],
    )


def check_pixels(runtime: ExportedPipeline, samples: Sequence[Any], expected: Any) -> Facts:
    """Compare pixels that the graph prepared with the library's, of which none may differ."""
    for i, (sample, wanted) in enumerate(zip(samples, expected, strict=True)):
        found = runtime.tensor(sample, PREPARED)
        if not np.array_equal(found, wanted):
            raise ExportError(
                f"The preparation differs: the graph prepares example {i} differently from the "
                "library. Nothing was written."
            )
    return {"step": "preparation", "largest": 0.0, "allowed": 0}
