"""An exported file and items → a table, or CSV, of what it predicts; without torch."""

from __future__ import annotations

import csv
import sys
from typing import Annotated, Any, Literal

import numpy as np
import typer

from ._items import items_in

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
    as_csv: AsCsv = False,  # noqa: FBT002  typer makes a flag of it
    threads: Annotated[
        int | None, typer.Option(help="Threads that compute; as many as there are cores.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Items in one run.")] = 16,
) -> None:
    """Predict with an exported pipeline."""
    from ..exceptions import FormatError
    from ..exported import load

    try:
        file = load(model, threads=threads, batch_size=batch_size)
        kind = KINDS.get(file.facts_["input"]["kind"], "rows")
        names, X = zip(*items_in(items, kind), strict=True)
        table = _table(file, names, list(X) if kind != "rows" else np.stack(X), whole=as_csv)
    except (FormatError, ImportError, TypeError, ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    (_print_csv if as_csv else _print_table)(table)


def _table(file: Any, names: Any, X: Any, *, whole: bool) -> list[list[str]]:
    """Return the headings, and a row for each item."""
    asked = [name for name in ("predict", "predict_proba") if hasattr(file, name)]
    if not asked:
        rows = file.transform(X)
        heads = [f"feature_{i}" for i in range(rows.shape[1])]
        return [["item", *heads], *_beside(names, *_numbers(rows))]
    # One pass over the items gives both.
    found = file.outputs(file.samples(X), *asked)
    labels = found["predict"].reshape(len(names), -1).astype(str).T
    heads = ["label"] if len(labels) == 1 else [f"label_{i}" for i in range(len(labels))]
    if "predict_proba" not in found:
        return [["item", *heads], *_beside(names, *labels)]
    probabilities = found["predict_proba"]
    if whole:
        heads += [f"p({name})" for name in file.classes_]
        return [["item", *heads], *_beside(names, *labels, *_numbers(probabilities))]
    largest = probabilities.max(axis=1, keepdims=True)
    return [["item", *heads, "probability"], *_beside(names, *labels, *_numbers(largest))]


def _numbers(columns: Any) -> list[list[str]]:
    return [[f"{value:.4g}" for value in column] for column in columns.T]


def _beside(*columns: Any) -> list[list[str]]:
    return [list(map(str, row)) for row in zip(*columns, strict=True)]


def _print_csv(table: list[list[str]]) -> None:
    csv.writer(sys.stdout, lineterminator="\n").writerows(table)


def _print_table(table: list[list[str]]) -> None:
    """Print a table that fits the window: names of items are cut before answers are."""
    from rich.console import Console
    from rich.table import Table

    heads, *rows = table
    most = 6
    shown = Table(box=None, pad_edge=False)
    for head in heads[:most]:
        side: Literal["left", "right"] = "left" if head in {"item", "label"} else "right"
        shown.add_column(head, justify=side, overflow="ellipsis", no_wrap=head != "item")
    for row in rows:
        shown.add_row(*row[:most])
    Console(markup=False, highlight=False).print(shown)
