"""An exported file and items → a table, or CSV, of what it predicts; without torch."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from ._items import items_in
from ._rows import beside, numbers, row_table
from ._tables import print_csv, print_features

EXAMPLES = (
    ("predict photos.onnx photos/*.jpg", "a table of labels"),
    ("predict photos.onnx photos/ --csv > labels.csv", "CSV with the probability of each class"),
    ("predict reviews.onnx reviews.txt", "texts, one in each line"),
)

KINDS = {"pictures": "images", "pixels": "images", "bytes": "images"}
KINDS |= {"texts": "texts", "text": "texts"}
"""What a file reads, by the kind of its input; everything else is rows of numbers."""

AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with the probability of each class.")]


def command(
    model: Annotated[str, typer.Argument(help="A file that `export` wrote.")],
    items: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders and patterns; files with a text in each line, or - for the "
            "standard input; .npy files of rows."
        ),
    ],
    *,
    as_csv: AsCsv = False,
    threads: Annotated[
        int | None, typer.Option(help="Threads that compute; as many as there are cores.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Items in one run.")] = 16,
) -> None:
    """Predict with an exported pipeline."""
    from ..exported import load

    file = load(model, threads=threads, batch_size=batch_size)
    kind = KINDS.get(file.facts_["input"]["kind"], "rows")
    names, X = zip(*items_in(items, kind), strict=True)
    table = _table(file, names, list(X) if kind != "rows" else np.stack(X), whole=as_csv)
    if as_csv:
        print_csv(table)
    else:
        print_features(table, left={"item", "label"})


def _table(file: Any, names: Any, X: Any, *, whole: bool) -> list[list[str]]:
    """Return the headings, and a row for each item."""
    asked = [name for name in ("predict", "predict_proba") if hasattr(file, name)]
    if not asked:
        return row_table(names, file.transform(X))
    # One pass over the items gives both.
    found = file.outputs(file.samples(X), *asked)
    labels = found["predict"].reshape(len(names), -1).astype(str).T
    heads = ["label"] if len(labels) == 1 else [f"label_{i}" for i in range(len(labels))]
    if "predict_proba" not in found:
        return [["item", *heads], *beside(names, *labels)]
    probabilities = found["predict_proba"]
    if whole:
        heads += [f"p({name})" for name in file.classes_]
        return [["item", *heads], *beside(names, *labels, *numbers(probabilities))]
    largest = probabilities.max(axis=1, keepdims=True)
    return [["item", *heads, "probability"], *beside(names, *labels, *numbers(largest))]
