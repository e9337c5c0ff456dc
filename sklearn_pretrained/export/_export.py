"""A fitted pipeline → one ONNX file, written once it has been proven."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import ExportError
from ..exported import ExportedPipeline
from ..exported._pipeline import FACTS, FORMAT, TOKENIZER
from ..process import need
from ._beside import Beside
from ._choices import Inputs, check_inputs, choose_forms
from ._facts import classes, feature_names, kinds, licence, provenance
from ._front import check_pixels, fronts, joined, with_samples
from ._graph import Graph
from ._inputs import Input, form_of, inputs_of, samples_of
from ._mixtures import check_mixtures
from ._parts import Part, parts
from ._proof import check_preparation, check_step, check_weights, choose_form
from ._raw_proof import check_raw, check_strings
from ._score import check_score, targets_of
from ._torch import EXTRA, PURPOSE
from ._weights import AS_THEY_ARE, check_examples, check_weights_name, with_smaller_weights

Facts = dict[str, Any]


def export_onnx(
    pipeline: Any,
    path: str | os.PathLike[str],
    *,
    examples: Any,
    y: Any = None,
    tolerance: float = 1e-4,
    inputs: Inputs = "prepared",
    weights: str = "float32",
    min_agreement: float = 0.99,
    min_score: float | None = None,
) -> Facts:
    """Write a fitted pipeline as one ONNX file with the same answers.

    The file holds the network up to the layer that is read, the pooling, and the scikit-learn
    steps after it. Before it is written, the examples are sent through it, one by one and in
    batches, and every step is compared with the pipeline's. `sklearn_pretrained.exported.load`
    opens it without torch or scikit-learn.

    Parameters
    ----------
    pipeline : Pipeline or featurizer
        Fitted; its first step is a featurizer of this package, and skl2onnx converts the others.
    path : str or path
        The file to write.
    examples : array-like of items
        Items as the pipeline reads them, for example a few dozen of those that it will see. They
        only decide whether the file is written.
    y : array-like, default=None
        Targets of the examples. The report then has the score of the file beside that of the
        pipeline, as ``pipeline.score(examples, y)`` gives it: the accuracy, or R² of regressors.
        It decides about ``weights`` in place of the agreement.
    tolerance : float, default=1e-4
        Allowed difference of a row, relative to its norm. Probabilities, decision values and
        predicted numbers may differ by ten times as much; labels must be equal.
    inputs : {"prepared", "pixels", "bytes", "text"} or dict, default="prepared"
        What the graph reads. "prepared" takes what the network does: resized and cropped
        pixels, or tokens. "pixels" takes uint8 images of any size, and resizes and crops them
        as the library does, to the bit. "bytes" takes the content of one JPEG or PNG file, which
        onnxruntime-extensions decodes; its pixels are not quite Pillow's. "text" takes strings,
        which it tokenises; the tokens of unusual letters are not quite the tokenizer's.
        Where there are several networks, "pixels" and "bytes" are for all those that read images,
        and "text" for those that read texts; a dict has a form for each name of a transformer or
        column, as ``{"photo": "bytes", "title": "text"}``, and all else is "prepared".
        `exported.load` reads the same X in all cases, by Pillow and the tokenizer itself.
    weights : {"float32", "float16", "int8"}, default="float32"
        How large weights are stored. "float16" makes a file of half the size, scikit-learn's
        steps included, which computes in float32 as before. "int8" makes one of about a quarter,
        whose networks compute in 8 bits, calibrated on up to 128 of the examples. Rows of both
        differ by more than ``tolerance``, so that ``min_agreement`` decides, or the score if ``y``
        is given, after every step has been proven in float32.
    min_agreement : float, default=0.99
        Where the graph cannot do quite the same, as with "bytes", "text" and fewer bits, the share
        of examples that must get the same label; of pipelines that give numbers, the share of
        their variance (R²) that must be the same.
    min_score : float, default=None
        The least score on ``examples`` and ``y`` with which the file is written. None is the
        pipeline's own, less ``1 - min_agreement``.

    Returns
    -------
    dict
        The file's metadata: its input, steps, outputs and classes, the featurizer's
        provenance, and under ``"report"`` how much each step differs.

    See Also
    --------
    sklearn_pretrained.exported.load : Opens such a file.

    Notes
    -----
    Needs the extra ``onnx``. Images enter the graph as uint8 pixels that are resized and cropped,
    texts as tokens; `exported.load` prepares both as the library does.

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
    check_inputs(inputs)
    check_weights_name(weights)
    with _beside(Path(path)) as kept:
        found = parts(pipeline, examples)
        read = inputs_of(found, examples)
        choose_forms(inputs, read)
        count = len(samples_of(read))
        check_examples(weights, count)
        targets = targets_of(y, min_score, found[-1], count)
        graph, prepared = _graph(found, read, kept)
        tokenizers = {one.prefix + TOKENIZER: one.tokenizer for one in prepared if one.tokenizer}
        before, fed, told = fronts(prepared, graph.model)
        model = joined(before, fed, graph.model)
        facts = {
            "format": FORMAT,
            "input": form_of(fed),
            "steps": kinds(found),
            "outputs": graph.outputs,
            **classes(found[-1]),
            "feature_names": feature_names(pipeline, found),
            "provenance": provenance(found),
            "weights": weights,
            "licence": licence(found),
            "report": told,
        }
        kept.write(_with(model, facts, tokenizers))
        runtime = ExportedPipeline(kept.graph)
        facts = runtime.facts_
        facts["report"] += check_preparation(fed, examples)
        fed = with_samples(fed, examples)
        samples = samples_of(fed)
        facts["report"] += check_pixels(runtime, fed, prepared)
        _prove(runtime, samples, found, tolerance)
        check_mixtures(graph.steps, tolerance)
        facts["report"] += check_strings(runtime, fed, examples, tolerance)
        if weights != AS_THEY_ARE:
            # Every step is proven, and only its weights are others from here on.
            del runtime
            smaller = with_smaller_weights(weights, graph, prepared, kept)
            model = joined(before, fed, smaller)
            kept.clear()
            kept.write(_with(model, facts, tokenizers))
            runtime = ExportedPipeline(kept.graph)
            facts = runtime.facts_
            expected = {name: wanted for part in found for name, wanted in part.expected.items()}
            least = min_agreement if targets is None else 0.0
            facts["report"] += check_weights(runtime, samples, expected, least)
        facts["report"] += check_raw(runtime, fed, examples, min_agreement)
        if targets is not None:
            last, lost = found[-1], 1 - min_agreement
            score = check_score(runtime, samples, last, targets, least=min_score, lost=lost)
            facts["report"].append(score)
        del runtime
        kept.write_as_one(_with(model, facts, tokenizers))
    return facts


@contextmanager
def _beside(target: Path) -> Iterator[Beside]:
    """Make a place for files beside a path, to which they are moved if nothing fails."""
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder. Name the file in it to be written.")
    try:
        place = tempfile.TemporaryDirectory(prefix=".export-", dir=target.absolute().parent)
    except OSError as error:
        raise type(error)(
            f"Nothing can be written into {str(target.absolute().parent)!r}: {error.strerror}. "
            "Make that folder, or name another one."
        ) from error
    with place as folder:
        yield Beside(Path(folder, target.name))
        for written in sorted(Path(folder).iterdir(), reverse=True):  # the graph at last
            os.replace(written, target.parent / written.name)  # noqa: PTH105  replaces in one call


def _prove(
    runtime: ExportedPipeline, samples: Any, found: Sequence[Part], tolerance: float
) -> None:
    """Compare every step, and note in the file's facts how, and in which form it answers."""
    facts = runtime.facts_
    for part in (part for part in found if part.expected):
        several = {name for name, given in part.expected.items() if isinstance(given, list)}
        part.expected |= {name: np.stack(part.expected[name], axis=1) for name in several}
        for method, wanted in part.expected.items():
            raw = _tried(runtime, samples, method, found)
            facts["outputs"][method] |= {
                "form": "list"
                if method in several
                else choose_form(raw, wanted, method, part.name),
                "dtype": _dtype(wanted),
            }
        facts["report"] += check_step(runtime, samples, part.name, part.expected, tolerance)


def _tried(runtime: ExportedPipeline, samples: Any, method: str, found: Sequence[Part]) -> Any:
    """Compute one output; a step that skl2onnx got wrong may fail, and its nodes have its name."""
    try:
        return runtime.outputs(samples, method)[method]
    except Exception as error:
        said = str(error).partition("\n")[0]
        steps = [part.name for part in found if f"'{part.name}/" in said] or [found[-1].name]
        raise ExportError(
            f"Step {steps[-1]!r} fails in the file: {said}. Nothing was written. Use another "
            "estimator in its place, or export the pipeline up to it."
        ) from error


def _graph(found: list[Part], inputs: list[Input], kept: Beside) -> tuple[Graph, list[Input]]:
    """Put the graphs of all parts together; return also the inputs that are left."""
    networks = {one.part.name: (one.prefix, one.network) for one in inputs if one.network}
    graph = Graph(networks, kept.take)
    fed: list[Input] = []
    for one in inputs:
        twin = next((other for other in fed if one.is_fed_as(other)), None)
        if twin is None:
            fed.append(one)
        elif one.network is not None:
            for name in one.network.batch:
                graph.share(one.prefix + name, twin.prefix + name)
        if one.network is None:
            graph.add_table(one.part, one.prefix, one.form["inputs"])
    for part in found:
        graph.add(part)
    return graph, fed


def _dtype(wanted: Any) -> str | None:
    return None if wanted.dtype.kind == "f" else str(wanted.dtype)


def _with(model: Any, facts: Facts, tokenizers: dict[str, str]) -> Any:
    """Note in a graph what is known of it."""
    onnx = need("onnx", install=EXTRA, purpose=PURPOSE)
    onnx.helper.set_model_props(model, {FACTS: json.dumps(facts), **tokenizers})
    return model
