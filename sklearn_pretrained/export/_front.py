"""A graph that reads prepared images → one that reads images of any size, and its proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._optional import need
from ..exceptions import ExportError
from ..exported import ExportedPipeline
from ._resizing import PIXELS, PREPARED, resizing_graph
from ._torch import EXTRA, PURPOSE

Facts = dict[str, Any]
INPUTS = ("prepared", "pixels")


def with_preparation(model: Any, form: Facts, inputs: str) -> tuple[Any, Facts]:
    """Put what prepares images in front of a graph; return also what the file says of X.

    Parameters
    ----------
    model : ModelProto
    form : dict
        What the file says of its input.
    inputs : {"prepared", "pixels"}
    """
    if inputs == "prepared":
        return model, form
    if inputs not in INPUTS:
        raise ValueError(f"inputs={inputs!r} is not one of {', '.join(map(repr, INPUTS))}.")
    if form["kind"] != "pictures":
        raise ValueError(
            "inputs='pixels' is for pipelines over images that are resized as torchvision's "
            "networks do and cropped at the centre. Use inputs='prepared' for others."
        )
    compose = need("onnx", install=EXTRA, purpose=PURPOSE).compose
    front = compose.add_prefix(
        resizing_graph(form["geometry"], model),
        "prepare/",
        rename_inputs=False,
        rename_outputs=False,
    )
    outputs = [PREPARED, *(value.name for value in model.graph.output)]
    whole = compose.merge_models(
        front, model, io_map=[(PREPARED, model.graph.input[0].name)], outputs=outputs
    )
    shape = ["height", "width", 3]
    return whole, {**form, "kind": PIXELS, "name": PIXELS, "shape": shape, "even": True}


def check_pixels(runtime: ExportedPipeline, samples: Sequence[Any], expected: Any) -> Facts:
    """Compare pixels that the graph prepared with the library's, of which none may differ."""
    for i, (sample, wanted) in enumerate(zip(samples, expected, strict=True)):
        found = runtime.tensor(sample, PREPARED)
        if not np.array_equal(found, wanted):
            raise ExportError(
                f"The preparation moved: example {i} is prepared otherwise than by the library. "
                "Nothing was written."
            )
    return {"step": "preparation", "largest": 0.0, "allowed": 0}
