"""An exported file → predictions, by ONNX Runtime; neither torch nor scikit-learn is imported."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import FormatError
from ._answer import Answer
from ._reading import reader
from ._session import session

FORMAT = 1
FACTS, TOKENIZER = "sklearn_pretrained", "tokenizer.json"
"""Under which names a file holds what is known of it, and its tokenizer."""


class ExportedPipeline:
    """A pipeline that `export_onnx` wrote, as `load` opens it.

    Items are read as the featurizer reads them: the same forms of X, the same pixels and tokens,
    the same errors.

    Parameters
    ----------
    path : str or path
        The file.
    threads : int, default=None
        Threads that compute one batch. None takes as many as there are cores.
    batch_size : int, default=16
        Items in one run.

    Attributes
    ----------
    facts_ : dict
        What the file says of itself: its input, steps, outputs, classes, the featurizer's
        provenance, and how far the examples moved when it was written.
    classes_ : ndarray
        The classes, where the pipeline ends in a classifier.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, threads: int | None = None, batch_size: int = 16
    ) -> None:
        for name, number in (("threads", threads), ("batch_size", batch_size)):
            if number is not None and number < 1:
                raise ValueError(f"{name}={number!r} is not a positive whole number.")
        self._session = session(os.fspath(path), threads or 0)
        found = self._session.get_modelmeta().custom_metadata_map
        if FACTS not in found:
            raise FormatError(
                f"{os.fspath(path)!r} was not written by export_onnx, so that nothing is known of "
                "how X is read. Run it with onnxruntime itself."
            )
        self.facts_: dict[str, Any] = json.loads(found[FACTS])
        if self.facts_["format"] > FORMAT:
            raise FormatError(
                f"{os.fspath(path)!r} has the format {self.facts_['format']}, and this version of "
                f"sklearn-pretrained reads formats up to {FORMAT}; upgrade it."
            )
        self.batch_size = batch_size
        tokenizers = {
            name.removesuffix(TOKENIZER): content
            for name, content in found.items()
            if name.endswith(TOKENIZER)
        }
        self._reader = reader(self.facts_["input"], tokenizers)
        if self.facts_["classes"] is not None:
            self.classes_ = np.array(self.facts_["classes"], self.facts_["classes_dtype"])

    predict = Answer(
        "Predict as the pipeline does.",
        "(n_samples,) or (n_samples, n_outputs)",
        "Labels or numbers.",
    )
    predict_proba = Answer(
        "Compute the probability of each class.",
        "(n_samples, n_classes)",
        "In the order of ``classes_``.",
    )
    decision_function = Answer(
        "Compute what the classifier decides by.",
        "(n_samples,) or (n_samples, n_classes)",
        "Distances to the border between classes.",
    )
    transform = Answer(
        "Compute the rows that the last step reads, or gives where it is no predictor.",
        "(n_samples, n_features)",
        "Rows, float32.",
    )

    def answer(self, name: str, X: Any) -> NDArray[Any]:
        """Compute one output of the file.

        Parameters
        ----------
        name : str
            Among ``facts_["outputs"]``.
        X : array-like of items
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_samples, ...)
            What the pipeline gives.
        """
        self.known(name)  # before anything is read
        return self.outputs(self.samples(X), name)[name]

    def samples(self, X: Any) -> list[Any]:
        """Prepare items for the network.

        Parameters
        ----------
        X : array-like of items
            As in `predict`.

        Returns
        -------
        list
            What `outputs` takes.
        """
        found = self._reader.samples(X)
        if not found:
            raise ValueError(
                "Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required."
            )
        return found

    def outputs(
        self, samples: Sequence[Any], *asked: str, batch_size: int | None = None
    ) -> dict[str, NDArray[Any]]:
        """Run the file over prepared items.

        Parameters
        ----------
        samples : sequence
            What `samples` gives.
        *asked : str
            Names among ``facts_["outputs"]``.
        batch_size : int, default=None
            None takes that of the pipeline.

        Returns
        -------
        dict of str to ndarray
            Under the names that were asked for.
        """
        known = {name: self.known(name) for name in asked}
        places, parts = [], []
        for batch in self._batches(samples, batch_size or self.batch_size):
            feed = self._reader.feed([samples[i] for i in batch])
            places += batch
            parts.append(self._session.run([known[name]["tensor"] for name in asked], feed))
        order = np.argsort(places)
        columns = [np.concatenate(column)[order] for column in zip(*parts, strict=True)]
        return {
            name: self._formed(column, known[name])
            for name, column in zip(asked, columns, strict=True)
        }

    def tensor(self, sample: Any, name: str) -> NDArray[Any]:
        """Compute a tensor of the graph for one prepared item.

        Parameters
        ----------
        sample : object
            As `samples` gives it.
        name : str
            Among the graph's outputs.

        Returns
        -------
        ndarray
            Without the axis of the batch.
        """
        found: NDArray[Any] = self._session.run([name], self._reader.feed([sample]))[0][0]
        return found

    def known(self, name: str) -> dict[str, Any]:
        """Say what the file knows of one of its outputs.

        Parameters
        ----------
        name : str
            Among ``facts_["outputs"]``.

        Returns
        -------
        dict
            The graph's tensor, and how it is read.
        """
        outputs: dict[str, Any] = self.facts_["outputs"]
        if name not in outputs:
            raise AttributeError(
                f"This pipeline has no {name!r}; its file gives {', '.join(outputs)}."
            )
        found: dict[str, Any] = outputs[name]
        return found

    def _batches(self, samples: Sequence[Any], most: int) -> list[list[int]]:
        """Put samples of like size together, and only equal ones where others would show."""
        form = self.facts_["input"]
        most = 1 if form.get("alone", False) else most
        sizes = [self._reader.size(sample) for sample in samples]
        equal = [size[0] for size in sizes] if form["kind"] == "several" else sizes
        equal = equal if form.get("even", False) else [None] * len(sizes)
        made: list[list[int]] = []
        for i in sorted(range(len(samples)), key=lambda i: sizes[i], reverse=True):
            if not made or len(made[-1]) == most or equal[i] != equal[made[-1][0]]:
                made.append([])
            made[-1].append(i)
        return made

    def _formed(self, column: NDArray[Any], known: dict[str, Any]) -> NDArray[Any]:
        formed = FORMS[known["form"]](column)
        return formed if known["dtype"] is None else formed.astype(known["dtype"])

    def __repr__(self) -> str:
        return f"ExportedPipeline({' → '.join(self.facts_['steps'])})"


FORMS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "as it is": lambda column: column,
    "list": lambda column: list(column.swapaxes(0, 1)),
    "flat": lambda column: column.reshape(len(column)),
    "last column": lambda column: column[:, -1],
    "minus last column": lambda column: -column[:, -1],
    "first column": lambda column: column[:, 0],
    "minus first column": lambda column: -column[:, 0],
}


def forms(column: NDArray[Any], expected: NDArray[Any]) -> list[str]:
    """List how a tensor may be read, so that it has the shape that is expected."""
    if column.shape == expected.shape:
        return ["as it is"]
    if expected.ndim == 1 and column.size == expected.size:
        return ["flat"]
    columns = [name for name in FORMS if name.endswith("column")]
    return columns if expected.ndim == 1 and column.ndim == 2 else []  # noqa: PLR2004


def load(
    path: str | os.PathLike[str], *, threads: int | None = None, batch_size: int = 16
) -> ExportedPipeline:
    """Open a pipeline that `export_onnx` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    threads : int, default=None
        Threads that compute one batch. None takes as many as there are cores.
    batch_size : int, default=16
        Items in one run. It decides speed and memory, and never the answers.

    Returns
    -------
    ExportedPipeline
        With ``predict``, ``predict_proba`` or ``decision_function``, and ``transform``.

    See Also
    --------
    export_onnx : Writes such files.
    """
    return ExportedPipeline(path, threads=threads, batch_size=batch_size)
