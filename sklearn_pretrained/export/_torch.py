"""A module → its ONNX graph, without traces of this machine."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch

from ..process import need, quiet
from ._network import Network
from ._traced import refused_in_words

PURPOSE = "export_onnx"
EXTRA = "sklearn-pretrained[onnx]"


def graph_of_network(network: Network, keep: Callable[[Any], Any]) -> Any:
    """Export the network; what lies behind the last layer that is read is not in the graph.

    Parameters
    ----------
    network : Network
        Its module is used up.
    keep : callable
        Makes the graph of torch's program, and keeps its weights.
    """
    need("onnxscript", install=EXTRA, purpose=PURPOSE)
    made = _exported(network, keep)
    gc.collect()  # torch's programs hold each other, and with them the weights
    for node in made.graph.node:  # torch writes where its source lies on this machine
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*made.graph.value_info, *made.graph.input, *made.graph.output):
        del value.metadata_props[:]
    del made.metadata_props[:], made.graph.metadata_props[:]
    return made


@quiet
def _exported(network: Network, keep: Callable[[Any], Any]) -> Any:
    with refused_in_words(network):
        program = torch.onnx.export(
            network.take(),
            (),
            kwargs=dict(network.batch),
            dynamo=True,
            dynamic_shapes={"inputs": network.dynamic},
            input_names=list(network.batch),
            output_names=["features"],
            verbose=False,
        )
    assert program is not None
    return keep(program.model)
