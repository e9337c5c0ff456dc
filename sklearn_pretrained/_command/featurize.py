"""Images or texts in files, and the name of a network → files of features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

EXAMPLES = (
    ("featurize photos/ --to features/", "all images of a folder, in Parquet files"),
    (
        "featurize reviews.csv --texts --column text --key id --to features/",
        "a table's texts, with their keys",
    ),
)


def command(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of images; a quoted pattern, such as 'photos/**/*.jpg'; or a table "
            "(.csv, .jsonl, .parquet)."
        ),
    ],
    *,
    to: Annotated[str, typer.Option(help="The folder for the features.")],
    model: Annotated[
        str | None, typer.Option(help="The network. The default is part of the package.")
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            help="A layer: its name, a main stage's number, or a depth between 0 and 1. Several "
            "are put side by side."
        ),
    ] = None,
    keep_layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer to write too; 'main' stands for all main stages."),
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="The items are texts, not images.")
    ] = False,
    column: Annotated[str | None, typer.Option(help="The table's column of items.")] = None,
    key: Annotated[
        str | None, typer.Option(help="The table's column that names the items.")
    ] = None,
    pooling: Annotated[str, typer.Option(help="How a layer becomes a vector.")] = "auto",
    weights: Annotated[
        str, typer.Option(help="Their name, a revision on the hub, or a file.")
    ] = "default",
    image_size: Annotated[int | None, typer.Option(help="Size of the network's input.")] = None,
    device: Annotated[str, typer.Option(help="Such as cpu or cuda.")] = "auto",
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option(help="Type of the written numbers.")
    ] = "float32",
    rows_per_file: Annotated[int, typer.Option(help="Rows in a file.")] = 8192,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Write the features of images or texts to Parquet files; a killed run continues."""
    from .. import PretrainedImageFeaturizer, PretrainedTextFeaturizer, featurize

    options: dict[str, Any] = {"pooling": pooling, "weights": weights, "device": device}
    if model is not None:
        options["model"] = model
    if layer:
        named = [_layer(name) for name in layer]
        options["layer"] = named if len(named) > 1 else named[0]
    if keep_layer:
        named = [_layer(name) for name in keep_layer]
        options["keep_layers"] = "main" if named == ["main"] else named
    if image_size is not None:
        options["image_size"] = image_size
    kind: Any = PretrainedTextFeaturizer if texts else PretrainedImageFeaturizer
    done = featurize(
        source,
        kind(**options),
        to,
        column=column,
        key=key,
        dtype=dtype,
        rows_per_file=rows_per_file,
        verbose=not quiet,
    )
    typer.echo(
        f"{done.rows} rows in {done.files} files in {Path(to)}: {done.computed} computed now, "
        f"{done.bad} could not be read."
    )


def _layer(name: str) -> str | int | float:
    """Read a number as one."""
    for kind in (int, float):
        try:
            return kind(name)
        except ValueError:
            continue
    return name
