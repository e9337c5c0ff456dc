"""Images or texts → their features, as a table, CSV or a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ._items import items_in
from ._rows import row_table
from ._tables import print_csv, print_features

EXAMPLES = (
    (
        "features photos/ --to photos.npz",
        "all images of a folder: features, and their names",
    ),
    (
        "features photos/ --model resnet50 --layer layer3 --to rows.npy",
        "another network and layer",
    ),
    ("features reviews.txt --to reviews.csv", "texts, one in each line"),
    ("features - --csv < reviews.txt", "texts from the standard input, CSV to the standard output"),
)


class Kind(StrEnum):
    """What items are."""

    IMAGES = "images"
    TEXTS = "texts"


class OnError(StrEnum):
    """What becomes of an item that cannot be read."""

    RAISE = "raise"
    NAN = "nan"


def command(
    items: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders and patterns; files with a text in each line, or - for the "
            "standard input."
        ),
    ],
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            help="The file to write: .npz (features, items), .npy (features alone), .csv or "
            ".parquet. Without it, the first columns are printed."
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(help="What the items are; texts where all end in .txt or are -, else images."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The network; the default one needs no download.")
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer's name, index or depth; several are concatenated."),
    ] = None,
    pooling: Annotated[str, typer.Option(help="How an activation becomes a row.")] = "auto",
    weights: Annotated[str, typer.Option(help="Name, revision or path of weights.")] = "default",
    cache: Annotated[
        str | None, typer.Option(help="A file, or a folder ending in /, where rows are kept.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or auto.")] = "float32",
    on_error: Annotated[
        OnError, typer.Option(help="An item that cannot be read is an error, or a row of NaN.")
    ] = OnError.RAISE,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with every feature.")] = False,
) -> None:
    """Compute the features of images or texts.

    For more rows than fit into memory, and work that can be interrupted, use `featurize`.
    """
    import sys

    from .. import PretrainedImageFeaturizer, PretrainedTextFeaturizer

    if to is not None and to.suffix not in _WRITERS:
        raise ValueError(
            f"--to {to} does not end in a known format; use one of {', '.join(_WRITERS)}."
        )
    kind = _kind_of(items) if kind is None else kind
    names, X = zip(*items_in(items, kind.value), strict=True)
    featurizer: Any = {
        Kind.IMAGES: PretrainedImageFeaturizer,
        Kind.TEXTS: PretrainedTextFeaturizer,
    }[kind]
    given: dict[str, Any] = {} if model is None else {"model": model}
    if layer:
        asked = [_layer(one) for one in layer]
        given["layer"] = asked if len(asked) > 1 else asked[0]
    rows = featurizer(
        **given,
        pooling=pooling,
        weights=weights,
        cache=cache,
        device=device,
        dtype=dtype,
        on_error=on_error.value,
        verbose=sys.stderr.isatty(),
    ).fit_transform(list(X))
    if to is None:
        if as_csv:
            print_csv(row_table(names, rows))
        else:
            print_features(row_table(names, rows), left={"item"})
        return
    _WRITERS[to.suffix](to, names, rows)
    typer.echo(f"{to}: {rows.shape[0]:,} rows of {rows.shape[1]:,} features.")


def _kind_of(items: Sequence[str]) -> Kind:
    return Kind.TEXTS if all(one == "-" or one.endswith(".txt") for one in items) else Kind.IMAGES


def _layer(said: str) -> str | int | float:
    """Read a layer as it is written in Python: a number is an index or a depth."""
    for number in (int, float):
        try:
            return number(said)
        except ValueError:
            continue
    return said


def _write_npy(path: Path, _names: Sequence[str], rows: Any) -> None:
    np.save(path, rows)


def _write_npz(path: Path, names: Sequence[str], rows: Any) -> None:
    np.savez(path, features=rows, items=np.array(names))


def _write_csv(path: Path, names: Sequence[str], rows: Any) -> None:
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(row_table(names, rows, digits=9))


def _write_parquet(path: Path, names: Sequence[str], rows: Any) -> None:
    from ..process import need

    why = {"install": "sklearn-pretrained[parquet]", "purpose": "A file of Parquet"}
    pa, parquet = need("pyarrow", **why), need("pyarrow.parquet", **why)
    columns = {f"feature_{i}": column for i, column in enumerate(rows.T)}
    parquet.write_table(pa.table({"item": list(names), **columns}), path)


_WRITERS: dict[str, Callable[[Path, Sequence[str], Any], None]] = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
