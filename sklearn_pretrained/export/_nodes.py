"""Calls, one for each operator → a graph that begins with rows, or goes on with another graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..process import need
from ._torch import EXTRA, PURPOSE


class Nodes:
    """A graph that grows node by node, under names that are its own."""

    INT64 = 7

    def __init__(self, name: str, model: Any) -> None:
        self._onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
        self.name, self.model = name, model

    @classmethod
    def reading(cls, name: str, width: int, like: Any) -> Nodes:
        """Begin with rows of a width."""
        helper = need("onnx", install=EXTRA, purpose=PURPOSE).helper
        rows = helper.make_tensor_value_info(f"{name}/rows", 1, ["batch", width])
        graph = helper.make_graph([], name, [rows], [])
        model = helper.make_model(
            graph, opset_imports=like.opset_import, ir_version=like.ir_version
        )
        return cls(name, model)

    def node(self, kind: str, *reads: str, **how: Any) -> str:
        """Add an operator; return the name of what it gives."""
        nodes = self.model.graph.node
        given = f"{self.name}/{kind}-{len(nodes)}"
        nodes.append(self._onnx.helper.make_node(kind, reads, [given], **how))
        return given

    def value(self, numbers: Any) -> str:
        """Add a constant; return its name."""
        held = self.model.graph.initializer
        name = f"{self.name}/value-{len(held)}"
        held.append(self._onnx.numpy_helper.from_array(np.asarray(numbers), name))
        return name

    def scores(self, coef: Any, intercept: Any) -> str:
        """Multiply the rows by coefficients, and add intercepts."""
        rows = self.model.graph.input[0].name
        product = self.node("MatMul", rows, self.value(coef.T.astype(np.float32)))
        return self.node("Add", product, self.value(intercept.astype(np.float32)))

    def positive(self, scores: str) -> str:
        """Tell which are above zero."""
        return self.node("Greater", scores, self.value(np.float32(0)))

    def named(self, which: str, classes: Any) -> tuple[str, Any]:
        """Turn the numbers of classes into labels; return their tensor and type."""
        words = classes.dtype.kind in "UO"
        held = classes.astype(object if words else np.int64)
        return self.node("Gather", self.value(held), which), object if words else np.int64

    def give(self, place: int | None, tensor: str, dtype: Any) -> None:
        """Make a tensor an output, behind the others or in place of one of them."""
        helper = self._onnx.helper
        kind = 8 if dtype is object else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        value = helper.make_tensor_value_info(tensor, kind, None)
        if place is None:
            self.model.graph.output.append(value)
        else:
            self.model.graph.output[place].CopyFrom(value)
