"""A module and scikit-learn steps → ONNX graphs, and one graph of all of them."""

from __future__ import annotations

from typing import Any

import torch

from .._optional import need
from .._quiet import quiet
from ._network import Network

PURPOSE = "export_onnx"
EXTRA = "sklearn-pretrained[onnx]"
_ML = ("ai.onnx.ml", 3)


def graph_of_network(network: Network) -> Any:
    """Export the network; what lies behind the last layer that is read is not in the graph."""
    need("onnxscript", install=EXTRA, purpose=PURPOSE)
    made = _exported(network)
    for node in made.graph.node:  # torch writes where its source lies on this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*made.graph.value_info, *made.graph.input, *made.graph.output):
        del value.metadata_props[:]
    del made.metadata_props[:], made.graph.metadata_props[:]
    return made


@quiet
def _exported(network: Network) -> Any:
    program = torch.onnx.export(
        network.module.eval(),
        (),
        kwargs=dict(network.batch),
        dynamo=True,
        dynamic_shapes={"inputs": network.dynamic},
        input_names=list(network.batch),
        output_names=["features"],
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def graph_of_step(name: str, step: Any, width: int, like: Any) -> Any:
    """Convert one fitted scikit-learn step, for the opset that another graph has."""
    skl2onnx = need("skl2onnx", install=EXTRA, purpose=PURPOSE)
    types = need("skl2onnx.common.data_types", install=EXTRA, purpose=PURPOSE)
    opset = opset_of(like)
    try:
        made = _converted(
            skl2onnx,
            step,
            initial_types=[("rows", types.FloatTensorType([None, width]))],
            target_opset={"": opset, _ML[0]: _ML[1]},
        )
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise TypeError(
            f"Step {name!r} ({type(step).__name__}) cannot be converted by skl2onnx: {said}"
        ) from error
    # skl2onnx names the least opsets that have its operators in the form of the one asked for.
    made.ir_version = like.ir_version
    _name_opsets(made, opset)
    return need("onnx", install=EXTRA, purpose=PURPOSE).compose.add_prefix(made, f"{name}/")


@quiet
def _converted(skl2onnx: Any, step: Any, **how: Any) -> Any:
    """Convert a step whose probabilities are a tensor, where skl2onnx would make dictionaries."""
    try:
        return skl2onnx.convert_sklearn(step, options={id(step): {"zipmap": False}}, **how)
    except NameError:  # it has no such option
        return skl2onnx.convert_sklearn(step, **how)


def joined(first: Any, second: Any, tensor: str) -> Any:
    """Feed a tensor of one graph to another; every output of both stays one."""
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    _name_opsets(first, opset_of(first))
    outputs = [value.name for graph in (first, second) for value in graph.graph.output]
    return onnx.compose.merge_models(
        first, second, io_map=[(tensor, second.graph.input[0].name)], outputs=outputs
    )


def opset_of(model: Any) -> int:
    """Return which version of ONNX's own operators a graph uses."""
    return max(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"})


def _name_opsets(model: Any, version: int) -> None:
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in (("", version), _ML))
