"""A graph, and what is fed to it → the same, whose networks compute in 8 bits.

ONNX Runtime's static quantisation: weights have a scale for each channel, and what runs through the
network one for each tensor, from the least and largest numbers that calibration saw.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..process import need, quiet
from ._torch import EXTRA, PURPOSE

_FEW = 1 << 10
"""Tables of fewer numbers stay as they are."""
_PRODUCTS = ("MatMul", "Gemm")
_QUANTISED = ("Conv", "Relu", "Clip", *_PRODUCTS)
_MOST = 127
_AS_IT_IS = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""Torch has folded and simplified the graph, so that it needs no preparation."""


@quiet
def with_eight_bits(model: Any, nodes: Iterable[str], batches: Iterable[Any]) -> Any:
    """Let convolutions, products with weights, and tables of tokens be of 8 bits.

    Parameters
    ----------
    model : ModelProto
        With its weights in it; they are used up.
    nodes : iterable of str
        Names of the nodes of its networks; what lies behind them computes as before.
    batches : iterable of dict of str to ndarray
        Prepared items, each alone, with which it is calibrated.
    """
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    quantization = need("onnxruntime.quantization", install=EXTRA, purpose=PURPOSE)
    nodes = set(nodes)
    chosen = _chosen(model.graph, nodes)
    onnx.helper.set_model_props(model, _AS_IT_IS)
    with tempfile.TemporaryDirectory() as folder, _unlogged():
        path = Path(folder, "quantised.onnx")
        quantization.quantize_static(
            model,
            path,
            _Batches(batches),
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_quantize=chosen,
            per_channel=True,
            # Weights of 7 bits: older processors would cut off the sums of larger ones, so that
            # the answers were those of the machine.
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": list(_PRODUCTS)},
        )
        made = onnx.load(path)
    del made.graph.value_info[:]
    _keep_what_is_not_quantised(made.graph, set(chosen))
    _with_small_tables(onnx, made.graph, nodes)
    return made


def _chosen(graph: Any, nodes: set[str]) -> list[str]:
    """Name the nodes that compute in 8 bits; what attention multiplies are not weights."""
    held = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.name in nodes
        and node.op_type in _QUANTISED
        and (node.op_type not in _PRODUCTS or node.input[1] in held)
    ]


def _keep_what_is_not_quantised(graph: Any, chosen: set[str]) -> None:
    """Let what adds or normalises numbers of 32 bits read them, and not their rounded copy."""
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.name in chosen or node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            continue
        for i, name in enumerate(node.input):
            above = made_by.get(name)
            if above is None or above.op_type != "DequantizeLinear":
                continue
            rounded = made_by.get(above.input[0])
            if rounded is None or rounded.op_type != "QuantizeLinear":
                continue
            source = rounded.input[0]
            if source in made_by and made_by[source].name not in chosen:
                node.input[i] = source


class _Batches:
    """Batches, one after the other, as ONNX Runtime's calibration asks for them."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._left = iter(batches)

    def get_next(self) -> Any:
        """Return the next, or None."""
        return next(self._left, None)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Let the quantiser's log not set up logging, as it does where nobody has."""
    nobody = logging.NullHandler()
    logging.getLogger().addHandler(nobody)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(nobody)


def _with_small_tables(onnx: Any, graph: Any, nodes: set[str]) -> None:
    """Store tables in which rows are looked up, as of tokens, in 8 bits, each row with a scale."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    make, kind = onnx.helper.make_node, onnx.TensorProto
    for table in [one for one in graph.initializer if one.data_type == kind.FLOAT]:
        read = readers.get(table.name, [])
        looks_up = len(read) == 1 and read[0].op_type == "Gather" and read[0].input[0] == table.name
        if len(table.dims) != 2 or np.prod(table.dims) < _FEW or not looks_up:  # noqa: PLR2004
            continue
        (node,) = read
        if node.name not in nodes or any(one.name == "axis" and one.i for one in node.attribute):
            continue
        numbers = onnx.numpy_helper.to_array(table)
        scale = np.abs(numbers).max(axis=1, keepdims=True) / _MOST
        whole = np.round(numbers / np.where(scale > 0, scale, 1)).astype(np.int8)
        name, given, places = table.name, node.output[0], node.input[1]
        table.CopyFrom(onnx.numpy_helper.from_array(whole, f"{name}-8"))
        graph.initializer.append(onnx.numpy_helper.from_array(scale, f"{name}-scale"))
        looked_up = [
            make("Gather", [f"{name}-8", places], [f"{given}-8"], name=f"{node.name}-8"),
            make("Gather", [f"{name}-scale", places], [f"{given}-scale"]),
            make("Cast", [f"{given}-8"], [f"{given}-whole"], to=kind.FLOAT),
            make("Mul", [f"{given}-whole", f"{given}-scale"], [given]),
        ]
        place = next(i for i, one in enumerate(graph.node) if one.name == node.name)
        del graph.node[place]
        for one in reversed(looked_up):
            graph.node.insert(place, one)
