"""A machine → what is installed, computes and is kept there, and whether rows are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from ._findings import AMISS, Finding
from ._tables import print_table

RUNS_ALONE = True
EXAMPLES = (
    ("doctor", "everything"),
    ("doctor --cache features.sqlite", "also what a cache holds"),
    ("doctor --quick", "without running a network"),
)


def command(
    *,
    cache: Annotated[
        str | None, typer.Option(help="A cache's file or folder, whose rows are counted.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Run no network.")] = False,
) -> None:
    """Show versions, devices, fast paths in use, caches and weights at hand.

    The default network is run over 32 pictures with fast paths and without; the rows must be the
    same. The exit status is 1 if something is amiss.
    """
    from . import _computing, _installed, _kept

    looks: dict[str, Callable[[], list[Finding]]] = {
        "Installed": _installed.packages,
        "Extras": _installed.extras,
        "Devices": _computing.devices,
        "Fast paths": _computing.fast_paths,
        "Caches": lambda: _kept.caches(cache),
        "Weights at hand": _kept.weights,
    }
    if not quick:
        looks["A trial"] = _computing.trial
    sections = {title: _found(title, look) for title, look in looks.items()}
    for title, findings in sections.items():
        heads = ("what", "found", "remark")
        print_table([heads, *(one.cells() for one in findings)], left=set(heads), title=title)
        typer.echo()
    amiss = [one.what for findings in sections.values() for one in findings if one.state == AMISS]
    typer.echo(f"Amiss: {', '.join(amiss)}." if amiss else "Nothing is amiss.")
    raise typer.Exit(bool(amiss))


def _found(title: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """Look; what stops a look is a finding too."""
    try:
        return look()
    except Exception as error:
        said = str(error).splitlines() or [type(error).__name__]
        return [Finding(title, "not known", said[0], AMISS)]
