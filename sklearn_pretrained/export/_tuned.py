"""The head of a fine-tuned estimator → its ONNX graph: labels and probabilities, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..finetuning import FineTunedClassifier
from ._nodes import Nodes
from ._parts import Step
from ._steps import graph_of_step


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
            graph = Nodes(part.name, made)
            graph.give(0, *graph.named(made.graph.output[0].name, classes))
        return made
    graph = Nodes.reading(part.name, ports[0].width, like)
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
