"""A fitted pipeline → one ONNX file, written once it has been proven."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .._optional import need
from ..exported import ExportedPipeline
from ..exported._pipeline import FACTS, FORMAT, TOKENIZER
from ._expected import Step, expected_of, parts
from ._front import check_pixels, with_preparation
from ._graph import EXTRA, PURPOSE, graph_of_network, graph_of_step, joined
from ._network import Network, network_of
from ._proof import check_preparation, check_step, choose_form
from ._resizing import PIXELS

_MOST_BYTES = (1 << 31) - (1 << 20)
Facts = dict[str, Any]


def export_onnx(
    pipeline: Any,
    path: str | os.PathLike[str],
    *,
    examples: Any,
    tolerance: float = 1e-4,
    inputs: str = "prepared",
) -> Facts:
    """Write a fitted pipeline as one ONNX file with the same answers.

    The file holds the network up to the layer that is read, the pooling, and the scikit-learn
    steps behind it. Before it is written, the examples are sent through it, alone and in batches,
    and every step is compared with the pipeline's. `sklearn_pretrained.exported.load` opens it
    without torch or scikit-learn.

    Parameters
    ----------
    pipeline : Pipeline or featurizer
        Fitted; its first step is a featurizer of this package, and skl2onnx converts the others.
    path : str or path
        The file to write.
    examples : array-like of items
        Items as the pipeline reads them, some dozens of those that it will see. They decide
        nothing but whether the file is written.
    tolerance : float, default=1e-4
        How far a row may move, in parts of its norm. Probabilities, decision values and
        predicted numbers may move ten times as far; labels must be equal.
    inputs : {"prepared", "pixels"}, default="prepared"
        What the graph reads. "prepared" takes what the network does: resized and cropped
        pixels, or tokens. "pixels" takes uint8 pictures of any size, and resizes and crops them
        as the library does, to the bit. `exported.load` reads the same X either way.

    Returns
    -------
    dict
        What the file says of itself: its input, steps, outputs and classes, the featurizer's
        provenance, and under ``"report"`` how far each step moved.

    See Also
    --------
    sklearn_pretrained.exported.load : Opens such a file.

    Notes
    -----
    Needs ``pip install 'sklearn-pretrained[onnx]'``. Pictures enter the graph as uint8 pixels
    that are resized and cropped, texts as tokens; `exported.load` does both as the library does.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_pretrained import ModuleFeaturizer, export_onnx
    >>> _ = torch.manual_seed(0)
    >>> network = torch.nn.Sequential(
    ...     torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    ... )
    >>> X, y = load_digits(return_X_y=True)
    >>> pipeline = make_pipeline(ModuleFeaturizer(network), LogisticRegression(max_iter=1000))
    >>> facts = export_onnx(pipeline.fit(X, y), "digits.onnx", examples=X[:20])  # doctest: +SKIP
    >>> from sklearn_pretrained.exported import load
    >>> load("digits.onnx").predict(X[:3])  # doctest: +SKIP
    array([0, 1, 2])
    """
    for module in ("onnx", "onnxruntime", "onnxscript", "skl2onnx"):
        need(module, install=EXTRA, purpose=PURPOSE)
    featurizer, behind = parts(pipeline)
    network = network_of(featurizer, examples)
    features = featurizer.transform(examples)
    steps = list(expected_of(behind, features))
    graph, outputs = _graph(network, steps)
    graph, network.form = with_preparation(graph, network.form, inputs)
    facts = {
        "format": FORMAT,
        "input": network.form,
        "steps": [
            type(step).__name__ for step in (featurizer, *(step.estimator for step in steps))
        ],
        "outputs": outputs,
        **_classes(steps),
        "provenance": featurizer.provenance().to_dict(),
        "report": [],
    }
    expected = [("network", {"features": features}), *((s.name, _named(s)) for s in steps)]
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.absolute().parent) as folder:
        name = str(Path(folder, target.name))
        _write(graph, name, facts, network.tokenizer)
        runtime = ExportedPipeline(name)
        facts = runtime.facts_
        samples = network.samples
        if network.form["kind"] == PIXELS:
            samples = runtime.samples(examples)
            facts["report"].append(check_pixels(runtime, samples, network.samples))
        elif network.form["kind"] != "arrays" or network.form["name"] == "rows":
            facts["report"].append(check_preparation(runtime.samples(examples), network.samples))
        for step, wanted in expected:
            for method in wanted:
                raw = runtime.outputs(samples, method)[method]
                facts["outputs"][method] |= {
                    "form": choose_form(raw, wanted[method], method, step),
                    "dtype": _dtype(wanted[method]),
                }
            facts["report"] += check_step(runtime, samples, step, wanted, tolerance)
        _write(graph, name, facts, network.tokenizer)
        del runtime
        os.replace(name, target)  # noqa: PTH105  one call that replaces what is there
    return facts


def _named(step: Step) -> dict[str, Any]:
    """Name what a step gives as the file does."""
    return {
        f"{step.name}.transform" if name == "transform" else name: wanted
        for name, wanted in step.expected.items()
    }


def _graph(network: Network, steps: list[Step]) -> tuple[Any, Facts]:
    """Join the graphs of all steps, and say which tensors of it are what."""
    graph = graph_of_network(network)
    rows = "features"
    outputs: Facts = {"features": _output(rows), "transform": _output(rows)}
    for step in steps:
        part = graph_of_step(step.name, step.estimator, step.width, graph)
        tensors = [value.name for value in part.graph.output]
        graph = joined(graph, part, rows)
        for name, tensor in zip(_named(step), tensors, strict=False):
            outputs[name] = _output(tensor)
        if "transform" in step.expected:
            rows = tensors[0]
            outputs["transform"] = _output(rows)
    return graph, outputs


def _output(tensor: str) -> Facts:
    return {"tensor": tensor, "form": "as it is", "dtype": None}


def _dtype(wanted: Any) -> str | None:
    return None if wanted.dtype.kind == "f" else str(wanted.dtype)


def _classes(steps: list[Step]) -> Facts:
    classes = getattr(steps[-1].estimator, "classes_", None) if steps else None
    if not isinstance(classes, np.ndarray):
        return {"classes": None, "classes_dtype": None}
    return {"classes": classes.tolist(), "classes_dtype": str(classes.dtype)}


def _write(graph: Any, path: str, facts: Facts, tokenizer: str) -> None:
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    size = sum(len(tensor.raw_data) for tensor in graph.graph.initializer)
    if size > _MOST_BYTES:
        raise ValueError(
            f"The network's weights up to the layer that is read take {size >> 20} MiB, and an "
            "ONNX file holds 2 GiB. Read an earlier layer, or use a smaller network."
        )
    found = {FACTS: json.dumps(facts)} | ({TOKENIZER: tokenizer} if tokenizer else {})
    onnx.helper.set_model_props(graph, found)
    onnx.save(graph, path)
