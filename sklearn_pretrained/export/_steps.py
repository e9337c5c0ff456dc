"""A fitted scikit-learn step → its ONNX graph, for the opsets that another graph has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

from ..process import need, quiet
from ._standins import numbers_for_truths, stand_in
from ._torch import EXTRA, PURPOSE

ML = ("ai.onnx.ml", 3)
_CHOOSES = "ArrayFeatureExtractor"
_CLUSTERS = KMeans | MiniBatchKMeans
_RARE = {"LinearClassifier", "LinearRegressor", "Scaler"}
"""Operators of scikit-learn's steps that OpenVINO and others do not have, and can do without."""
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
    del made.opset_import[:]
    made.opset_import.extend(like.opset_import)
    _choose_by_gather(onnx, made.graph)
    if transforms and isinstance(step, _CLUSTERS):
        del made.graph.output[0]  # the cluster, in front of the distances
    _check_opens(name, step, made)
    return onnx.compose.add_prefix(made, f"{name}/")


def _check_opens(name: str, step: Any, made: Any) -> None:
    """Raise where skl2onnx wrote what no engine runs."""
    runtime = need("onnxruntime", install=EXTRA, purpose=PURPOSE)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        runtime.InferenceSession(made.SerializeToString(), options, ["CPUExecutionProvider"])
    except Exception as error:
        raise TypeError(
            f"Step {name!r} ({type(step).__name__}) is converted by skl2onnx to a graph that ONNX "
            "Runtime does not open. Use another estimator in its place, or export the pipeline up "
            "to it."
        ) from error


def _choose_by_gather(onnx: Any, graph: Any) -> None:
    """Choose labels and columns by an operator that every engine has."""
    nodes = list(graph.node)
    labels = {one.name for one in graph.initializer if len(one.dims) == 1}
    flat = onnx.numpy_helper.from_array(np.array([-1]), "choose-flat")
    wide = onnx.numpy_helper.from_array(np.array([1, -1]), "choose-wide")
    if any(node.op_type == _CHOOSES for node in nodes):
        graph.initializer.extend([flat, wide])
    del graph.node[:]
    make = onnx.helper.make_node
    for i, node in enumerate(nodes):
        if node.op_type != _CHOOSES:
            graph.node.append(node)
            continue
        (values, places), (given,) = node.input, node.output
        graph.node.append(make("Reshape", [places, flat.name], [f"places-{i}"]))
        if values in labels:  # of which there is one row
            graph.node.append(make("Gather", [values, f"places-{i}"], [f"chosen-{i}"], axis=-1))
            graph.node.append(make("Reshape", [f"chosen-{i}", wide.name], [given]))
        else:
            graph.node.append(make("Gather", [values, f"places-{i}"], [given], axis=-1))


@quiet
def _converted(skl2onnx: Any, step: Any, **how: Any) -> Any:
    """Convert a step: probabilities as a tensor, in operators that most engines have."""
    tensor = {"options": {id(step): {"zipmap": False}}}  # skl2onnx would make dictionaries
    common = {"black_op": _RARE}
    ways: list[dict[str, Any]] = [{**common, **tensor}, common, tensor, {}]
    with numbers_for_truths():
        for way in ways:
            try:
                return skl2onnx.convert_sklearn(step, **way, **how)
            except Exception as error:  # it has no such option, or needs such an operator
                found = error
    raise found
