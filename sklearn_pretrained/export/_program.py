"""A fitted featurizer → its network as a torch program, written once it has been proven."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from ..exported._reading import reader
from ..process import quiet
from ._facts import feature_names, kinds, licence, provenance
from ._inputs import Input, inputs_of
from ._network import Network
from ._parts import parts
from ._proof import check_step
from ._traced import refused_in_words

FACTS, TOKENIZER = "sklearn_pretrained.json", "tokenizer.json"
"""Under which names a file holds what is known of it, and its tokenizer."""
_COPY = torch.ops.aten.clone.default
Facts = dict[str, Any]


def export_program(
    featurizer: Any,
    path: str | os.PathLike[str],
    *,
    examples: Any,
    tolerance: float = 1e-4,
    batch_size: int | None = None,
) -> Facts:
    """Write a fitted featurizer's network as a program of torch.export.

    The program takes prepared items, as the ONNX file of `export_onnx` does, and gives their rows:
    the network up to the layer that is read, and the pooling. It is what ExecuTorch, AOTInductor
    and torch's other compilers begin with. Before it is written, it is read back, and the examples
    are sent through it and compared with the featurizer's rows.

    Parameters
    ----------
    featurizer : featurizer, fine-tuned estimator or Pipeline
        Fitted. Of a pipeline it is the first step; a program of torch holds no scikit-learn.
    path : str or path
        The file to write, which ends in ``.pt2``.
    examples : array-like of items
        Items as the featurizer reads them. They decide nothing but whether the file is written,
        and nothing of them is in it.
    tolerance : float, default=1e-4
        How far a row may move, in parts of its norm.
    batch_size : int, default=None
        How many items a call takes. None is any number; a device that plans its memory ahead
        needs to know.

    Returns
    -------
    dict
        What the file says of itself, as JSON: how items are prepared, the names of the columns,
        the featurizer's provenance, and under ``"report"`` how far the rows moved.

    See Also
    --------
    export_onnx : Writes the whole pipeline, for ONNX Runtime.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_pretrained import ModuleFeaturizer, export_program
    >>> _ = torch.manual_seed(0)
    >>> X, _ = load_digits(return_X_y=True)
    >>> featurizer = ModuleFeaturizer(torch.nn.Linear(64, 32), layer="output").fit(X)
    >>> facts = export_program(featurizer, "digits.pt2", examples=X[:20])
    >>> program = torch.export.load("digits.pt2").module()
    >>> program(rows=torch.zeros(3, 64)).shape
    torch.Size([3, 32])
    """
    estimator = _first(featurizer)
    found = parts(estimator, examples)[:1]
    (one,) = inputs_of(found, examples)
    assert one.network is not None
    facts: Facts = {
        "input": one.form,
        "batch_size": batch_size,
        "steps": kinds(found),
        "feature_names": feature_names(getattr(estimator, "featurizer_", estimator), found),
        "provenance": provenance(found),
        "licence": licence(found),
    }
    program = _program(one.network, batch_size)
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.absolute().parent) as folder:
        written = Path(folder, target.name)
        # A file's facts are written with it, and are known once it has been tried.
        torch.export.save(program, written)
        trial = _Trial(torch.export.load(written).module(), one, batch_size)
        expected = {"features": np.asarray(found[0].rows)}
        facts["report"] = check_step(trial, one.samples, "network", expected, tolerance)
        beside = {FACTS: json.dumps(facts)} | ({TOKENIZER: one.tokenizer} if one.tokenizer else {})
        torch.export.save(program, written, extra_files=beside)
        os.replace(written, target)  # noqa: PTH105  replaces in one call
    return facts


def _first(estimator: Any) -> Any:
    """Return what reads X: the first step of pipelines and of the best of a search."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    return _first(estimator.steps[0][1]) if isinstance(estimator, Pipeline) else estimator


@quiet
def _program(network: Network, batch_size: int | None) -> torch.export.ExportedProgram:
    """Trace the network; what lies behind the last layer that is read is not in the program."""
    sizes = _sizes(network, batch_size)
    given = {name: _of_size(tensor, batch_size) for name, tensor in network.batch.items()}
    with refused_in_words(network):
        first = torch.export.export(network.take(), (), given, dynamic_shapes={"inputs": sizes})
        module = _without_what_is_not_read(first.module(check_guards=False))
        # A program keeps what it was traced with: here no item of the user's.
        blank = {name: torch.ones_like(tensor) for name, tensor in given.items()}
        return torch.export.export(module, (), blank, dynamic_shapes=sizes)


def _sizes(network: Network, batch_size: int | None) -> dict[str, dict[int, Any]]:
    """Name the axes that may have any length; that of a text ends at its tokenizer's."""
    longest = network.form.get("max_length")
    axes = {
        0: torch.export.Dim("batch", min=1) if batch_size is None else torch.export.Dim.STATIC,
        1: torch.export.Dim("length", min=1, max=longest),
    }
    return {name: {axis: axes[axis] for axis in wanted} for name, wanted in network.dynamic.items()}


def _of_size(batch: torch.Tensor, size: int | None) -> torch.Tensor:
    return batch if size is None else batch[torch.arange(size) % len(batch)]


def _without_what_is_not_read(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Drop what runs behind the last row, weights that nothing reads, and checks of inputs."""
    nodes = list(module.graph.nodes)
    read = {nodes[-1]}
    for node in reversed(nodes):
        if node in read:
            read.update(node.all_input_nodes)
    # The network never sees these copies, so that nothing behind the last of them moves a row.
    copies = [i for i, node in enumerate(nodes) if node.target is _COPY and node in read]
    for node in reversed(nodes[max(copies) :]):
        if node not in read and node.op != "placeholder":
            module.graph.erase_node(node)
    held = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    for node in list(module.graph.nodes):
        if node.op in {"get_attr", "call_module"} and not node.users:
            module.graph.erase_node(node)
    needed = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in held - needed:
        place, _, leaf = name.rpartition(".")
        delattr(module.get_submodule(place), leaf)
    module.delete_all_unused_submodules()
    module.recompile()
    return module


class _Trial:
    """A program, run as the proof runs an opened file.

    Parameters
    ----------
    module : callable
        Of a program.
    one : Input
    size : int or None
        How many items a call takes.
    """

    def __init__(self, module: Any, one: Input, size: int | None) -> None:
        self._module, self._size = module, size
        self._reader = reader(one.form, {"": one.tokenizer})
        self._even = one.form.get("even", False)

    def outputs(
        self, samples: Sequence[Any], *asked: str, batch_size: int
    ) -> dict[str, NDArray[Any]]:
        """Compute rows in batches of one size."""
        rows: list[NDArray[Any]] = []
        size = 1 if self._even and self._size is None else self._size or batch_size
        for start in range(0, len(samples), size):
            batch = list(samples[start : start + size])
            filled = batch + batch[-1:] * (size - len(batch) if self._size else 0)
            feed = self._reader.feed(filled)
            given = {name: torch.from_numpy(array) for name, array in feed.items()}
            with torch.inference_mode():
                rows.append(self._module(**given).numpy()[: len(batch)])
        return {asked[0]: np.concatenate(rows)}
