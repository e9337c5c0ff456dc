"""Words → a table of the networks whose names hold them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ._tables import AsCsv, print_csv, print_table

EXAMPLES = (
    ("networks", "torchvision's classifiers, and networks that packages registered"),
    ("networks vit --source timm", "timm's vision transformers (extra: timm)"),
    ("networks --at-hand", "those whose weights are on this machine"),
    ("networks resnet --sort cost", "the cheapest first"),
)

RUNS_ALONE = True

# The least important first.
_SPARE = ("source", "family", "input size", "width", "GFLOP", "accuracy")


class Order(StrEnum):
    """What a table of networks can be sorted by."""

    NAME = "name"
    COST = "cost"
    PARAMETERS = "parameters"
    ACCURACY = "accuracy"


def command(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words that a name, source or family must contain.")
    ] = None,
    *,
    source: Annotated[
        str | None, typer.Option(help="One source alone: torchvision, timm, or your own.")
    ] = None,
    at_hand: Annotated[
        bool, typer.Option("--at-hand", help="Only networks whose weights are on this machine.")
    ] = False,
    sort: Annotated[Order, typer.Option(help="What the table is sorted by.")] = Order.NAME,
    as_csv: AsCsv = False,
) -> None:
    """List image networks: names, sizes, costs and accuracies.

    A name is what the parameter `model` takes. GFLOP counts multiply-adds for one image; accuracy
    is the share of ImageNet's validation images that are named right. No network is built or
    downloaded. Networks of the Hugging Face hub, such as text encoders, are not listed; their names
    on the hub work as well.
    """
    from ..backbones import BackboneTable, list_backbones

    found = list_backbones(" ".join(words or ()), source=source).entries
    if at_hand:
        found = tuple(entry for entry in found if entry.weights == "at hand")
    if sort is not Order.NAME:  # what is not known comes last
        sign = -1 if sort is Order.ACCURACY else 1
        known = [entry for entry in found if getattr(entry, sort.value) is not None]
        unknown = [entry for entry in found if getattr(entry, sort.value) is None]
        found = (*sorted(known, key=lambda entry: sign * getattr(entry, sort.value)), *unknown)
    table = BackboneTable(found).cells()
    if as_csv:
        print_csv(table)
        return
    shown = print_table(table, left={"name", "source", "family", "weights"}, spare=_SPARE)
    few = "" if words or source else " timm's are listed where words or --source are given."
    cut = "" if shown == len(table[0]) else " A wider window, or --csv, shows more columns."
    typer.echo(f"{len(found)} networks.{few}{cut}")
