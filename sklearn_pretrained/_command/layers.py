"""The name of a network → a table of its layers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ._tables import AsCsv, print_csv, print_table

EXAMPLES = (
    ("layers resnet50", "the main stages"),
    ("layers timm/vit_small_patch16_224 --every", "every submodule"),
    (
        "layers sentence-transformers/all-MiniLM-L6-v2",
        "a text encoder, by its name on the hub or its folder",
    ),
)


def command(
    model: Annotated[
        str, typer.Argument(help="A name that `networks` lists, a name on the hub, or a folder.")
    ],
    *,
    every: Annotated[
        bool, typer.Option("--every", help="List every submodule, not the main stages only.")
    ] = False,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the square that an image network receives.")
    ] = None,
    as_csv: AsCsv = False,
) -> None:
    """List the layers of a network, planned without its weights.

    A layer is named by its name, by its index, or by its depth (0.5). Cost is the share of a whole
    forward pass that is needed to reach it.
    """
    from ..layers import list_layers

    parameters: dict[str, Any] = {} if image_size is None else {"image_size": image_size}
    found = list_layers(model, every=every, **parameters)
    if as_csv:
        print_csv(found.cells())
        return
    print_table(found.cells(), left={"layer", "shape"}, spare=("shape", "index"))
    typer.echo(f"{found.plan.name}: {len(found)} layers.")
