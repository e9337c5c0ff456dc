"""Calls, one for each operator → an ONNX graph; plain numbers stand for constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..process import need
from ._torch import EXTRA, PURPOSE


class Operators:
    """A graph that grows by calls: ONNX's operators are methods, and numbers become constants."""

    def __init__(self) -> None:
        self._ir = need("onnx_ir", install=EXTRA, purpose=PURPOSE)
        self._tape = need("onnx_ir.tape", install=EXTRA, purpose=PURPOSE).Tape()
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._opsets: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        def operator(*inputs: Any, **attributes: Any) -> Any:
            return self._tape.op(name, [*map(self._tensor, inputs)], attributes)

        return operator

    def named(self, why: str, kind: str, *inputs: Any, **attributes: Any) -> Any:
        """Add an operator under a name, which ONNX Runtime puts into its errors."""
        return self._tape.op(kind, [*map(self._tensor, inputs)], attributes, name=why)

    def of(self, domain: str, kind: str, *inputs: Any, **attributes: Any) -> Any:
        """Add an operator that is not ONNX's own."""
        self._opsets[domain] = 1
        return self._tape.op(kind, [*map(self._tensor, inputs)], attributes, domain=domain)

    def cast(self, value: Any, dtype: str) -> Any:
        """Change the type of numbers."""
        return self.Cast(value, to=int(self._ir.DataType[dtype]))

    def input(self, name: str, dtype: str, shape: Sequence[int | str]) -> Any:
        """Add an input."""
        self._inputs.append(self._ir.val(name, self._ir.DataType[dtype], shape))
        return self._inputs[-1]

    def output(self, name: str, value: Any, dtype: str, shape: Sequence[int | str]) -> None:
        """Make a value an output."""
        given = self.Identity(value)
        given.name, given.type = name, self._ir.TensorType(self._ir.DataType[dtype])
        given.shape = self._ir.Shape(shape)
        self._outputs.append(given)

    def model(self, name: str, like: Any) -> Any:
        """Return the graph, of the opsets and version that another has."""
        opsets = {entry.domain: entry.version for entry in like.opset_import} | self._opsets
        graph = self._ir.Graph(
            self._inputs, self._outputs, nodes=self._tape.nodes, opset_imports=opsets, name=name
        )
        return self._ir.to_proto(self._ir.Model(graph, ir_version=like.ir_version))

    def _tensor(self, value: Any) -> Any:
        if not isinstance(value, int | float | list | np.generic | np.ndarray):
            return value
        constant = self._ir.tensor(np.asarray(value))
        return self._tape.op("Constant", [], {"value": constant})
