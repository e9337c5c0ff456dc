"""Words of a command line → what they do; each command is a module of its own.

A command imports what is heavy when it runs: `predict` needs neither torch nor scikit-learn.
"""

from __future__ import annotations

from importlib import import_module

from .._optional import need

COMMANDS = ("export", "featurize", "predict")
"""The modules of this folder that are commands; each has a function ``command``."""


def main() -> None:
    """Run the command line of this process."""
    typer = need("typer", install="sklearn-pretrained[command]", purpose="The command line")
    app = typer.Typer(
        name="python -m sklearn_pretrained",
        help="Pretrained networks as scikit-learn transformers.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in COMMANDS:
        app.command(name, no_args_is_help=True)(import_module(f".{name}", __name__).command)
    app.callback()(lambda: None)  # a single command keeps its name too
    app()
