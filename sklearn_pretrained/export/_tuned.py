"""The head of a fine-tuned estimator → its ONNX graph: labels and probabilities, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._optional import need
from ..finetuning import FineTunedClassifier
from ._parts import Step
from ._steps import graph_of_step
from ._torch import EXTRA, PURPOSE


def graph_of_head(part: Step, ports: Sequence[Any], like: Any) -> Any:
    """Write what the estimator does behind its features.

    Parameters
    ----------
    part : Step
        Whose estimator is fine-tuned.
    ports : sequence of Port
        What it reads.
    like : ModelProto
        Whose opset and version it gets.
    """
    estimator = part.estimator
    classes = getattr(estimator, "classes_", None)
    several = getattr(estimator, "_is_multilabel", False)
    if estimator.head_ is not None:
        made = graph_of_step(part.name, estimator.head_, ports, like)
        if classes is not None and not several:  # it was fitted on their numbers
            graph = _Nodes(part.name, made)
            graph.give(0, *graph.named(made.graph.output[0].name, classes))
        return made
    graph = _Nodes.reading(part.name, ports[0].width, like)
    scores = graph.scores(estimator.head_coef_, estimator.head_intercept_)
    if not isinstance(estimator, FineTunedClassifier):
        graph.give(None, scores, np.float32)
    elif several:
        graph.give(None, graph.node("Cast", graph.positive(scores), to=graph.INT64), np.int64)
        graph.give(None, graph.node("Sigmoid", scores), np.float32)
    elif len(estimator.head_coef_) > 1:
        best = graph.node("ArgMax", scores, axis=1, keepdims=0)
        graph.give(None, *graph.named(best, classes))
        graph.give(None, graph.node("Softmax", scores, axis=1), np.float32)
    else:
        second = graph.node("Cast", graph.positive(scores), to=graph.INT64)
        column = graph.node("Squeeze", second, graph.value(np.array([1])))
        graph.give(None, *graph.named(column, classes))
        both = graph.node("Neg", scores), scores
        likely = [graph.node("Sigmoid", one) for one in both]
        graph.give(None, graph.node("Concat", *likely, axis=1), np.float32)
    return graph.model


class _Nodes:
    """A graph that grows node by node, under names that are its own."""

    INT64 = 7

    def __init__(self, name: str, model: Any) -> None:
        self._onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
        self.name, self.model = name, model

    @classmethod
    def reading(cls, name: str, width: int, like: Any) -> _Nodes:
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
