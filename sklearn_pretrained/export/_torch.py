"""A module → its ONNX graph, without traces of this machine."""

from __future__ import annotations

from typing import Any

import torch

from ..process import need, quiet
from ._network import Network
from ._traced import refused_in_words

PURPOSE = "export_onnx"
EXTRA = "sklearn-pretrained[onnx]"


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
    with refused_in_words(network):
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
