"""A graph → the same, whose weights are stored in 16 bits and computed with in 32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..process import need
from ._torch import EXTRA, PURPOSE

_FEW = 1 << 10
"""Tensors of fewer numbers stay as they are."""


def with_halved_weights(model: Any) -> Any:
    """Store large weights as float16, in front of an operator that makes float32 of them.

    ONNX Runtime does so once, when it opens the file. The model that is given stays as it is.
    """
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    given, model = model, onnx.ModelProto()
    model.CopyFrom(given)
    graph, kind = model.graph, onnx.TensorProto
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != kind.FLOAT or np.prod(tensor.dims) < _FEW:
            continue
        numbers = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            halved = numbers.astype(np.float16)
        if not np.isfinite(halved).all():
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(halved, f"{name}-16"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}-16"], [name], to=kind.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model
