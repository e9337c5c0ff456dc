"""A fitted scikit-learn step → its ONNX graph, for the opsets that another graph has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._optional import need
from .._quiet import quiet
from ._standins import numbers_for_truths, stand_in
from ._torch import EXTRA, PURPOSE

ML = ("ai.onnx.ml", 3)
_TYPES = {
    "float32": "FloatTensorType",
    "float64": "DoubleTensorType",
    "int64": "Int64TensorType",
    "string": "StringTensorType",
    "bool": "BooleanTensorType",
}


def graph_of_step(
    name: str, step: Any, ports: Sequence[Any], like: Any, *, transforms: bool = False
) -> Any:
    """Convert one step.

    Parameters
    ----------
    name : str
    step : estimator
    ports : sequence of Port
        What it reads.
    like : ModelProto
        Whose opset and version it gets.
    transforms : bool
        Whether its transform is what is read.
    """
    skl2onnx = need("skl2onnx", install=EXTRA, purpose=PURPOSE)
    types = need("skl2onnx.common.data_types", install=EXTRA, purpose=PURPOSE)
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    opset = like.opset_import[0].version
    given = [
        (f"rows{i or ''}", getattr(types, _TYPES[port.dtype])([None, port.width]))
        for i, port in enumerate(ports)
    ]
    try:
        made = _converted(
            skl2onnx,
            stand_in(step, transforms=transforms),
            initial_types=given,
            target_opset={"": opset, ML[0]: ML[1]},
        )
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise TypeError(
            f"Step {name!r} ({type(step).__name__}) cannot be converted by skl2onnx: {said} Use "
            "another estimator in its place, or export the pipeline up to it."
        ) from error
    # skl2onnx names the least opsets that have its operators in the form of the one asked for.
    made.ir_version = like.ir_version
    return onnx.compose.add_prefix(made, f"{name}/")


@quiet
def _converted(skl2onnx: Any, step: Any, **how: Any) -> Any:
    """Convert a step whose probabilities are a tensor, where skl2onnx would make dictionaries."""
    with numbers_for_truths():
        try:
            return skl2onnx.convert_sklearn(step, options={id(step): {"zipmap": False}}, **how)
        except NameError:  # it has no such option
            return skl2onnx.convert_sklearn(step, **how)
