"""A graph → the same, whose weights are stored in 16 bits and computed with in 32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..process import need
from ._torch import EXTRA, PURPOSE

_FEW = 1 << 10
"""Tensors of fewer numbers stay as they are."""


def with_halved_weights(model: Any, read: Callable[[Any], Any]) -> Any:
    """Store large weights as float16, in front of an operator that makes float32 of them.

    ONNX Runtime does so once, when it opens the file.

    Parameters
    ----------
    model : ModelProto
        It stays as it is; the one that is returned holds its weights.
    read : callable
        Of a tensor.
    """
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    given, model = model, onnx.ModelProto()
    model.CopyFrom(given)
    graph, kind = model.graph, onnx.TensorProto
    casts = []
    for tensor in graph.initializer:
        name, is_beside = tensor.name, tensor.data_location == kind.EXTERNAL
        is_large = tensor.data_type == kind.FLOAT and np.prod(tensor.dims) >= _FEW
        if not is_large and not is_beside:
            continue
        numbers = read(tensor)
        halved = _halved(numbers) if is_large else None
        if halved is None:
            tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, name))
            continue
        tensor.CopyFrom(onnx.numpy_helper.from_array(halved, f"{name}-16"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}-16"], [name], to=kind.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _halved(numbers: NDArray[Any]) -> NDArray[np.float16] | None:
    """Round numbers, unless one is too large for it."""
    with np.errstate(over="ignore"):
        halved = numbers.astype(np.float16)
    return halved if np.isfinite(halved).all() else None
