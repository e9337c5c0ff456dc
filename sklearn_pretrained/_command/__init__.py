"""Words of a command line → what they do; each command is a module of its own.

A command imports what is heavy when it runs: `predict` needs neither torch nor scikit-learn.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

from .. import exceptions
from ..process import need

COMMANDS = (
    *("features", "featurize", "compact", "layers", "networks", "export", "predict"),
    "doctor",
)
"""The modules of this folder that are commands: ``command``, and ``EXAMPLES`` with what they do.

``RUNS_ALONE`` says that a command without words does something else than to show its help.
"""

PROGRAM = "python -m sklearn_pretrained"

_WHOLE = {
    *("blake3", "joblib", "PIL", "safetensors", "sklearn"),
    *("torch", "torchvision", "tqdm", "transformers", "xxhash"),
}
"""Modules that `pip install sklearn-pretrained` brings, of which `predict` needs Pillow alone."""
_OURS = tuple(getattr(exceptions, name) for name in exceptions.__all__)
_SPEAKING = (*_OURS, ValueError, TypeError, OSError)
"""Errors whose message says what is wrong with what was given."""


def main() -> None:
    """Run the command line of this process; an error is a line, and no traceback."""
    warnings.showwarning = _show_warning
    try:
        status = _app()(standalone_mode=False)
    except Exception as error:
        if hasattr(error, "format_message"):  # words that are not understood
            _exit_with_usage(error)
        if "--traceback" in sys.argv:
            raise
        if isinstance(error, ModuleNotFoundError) and error.name in _WHOLE:
            sys.exit(f"Error: {_without_the_whole(error.name)}")
        if isinstance(error, _SPEAKING):
            sys.exit(f"Error: {error}")
        sys.exit(
            f"Error: {type(error).__name__}: {error} (This may be a fault of the library: "
            f"`{PROGRAM} --traceback …` shows where it happened.)"
        )
    sys.exit(status if isinstance(status, int) else 0)


def _exit_with_usage(error: Any) -> NoReturn:
    """Say in one line what was not understood; a command without words shows its help instead."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        path = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
        said = error.format_message().replace("Value error, ", "")
        end = "" if said.endswith((".", "?")) else "."
        sys.stderr.write(f"Error: {said}{end} `{path} --help` shows what it takes.\n")
    sys.exit(error.exit_code)


def _without_the_whole(missing: str) -> str:
    """Say what installs a package that is not there, where only files may be meant to run."""
    if missing == "PIL":
        return "Reading images needs Pillow. Install it with: pip install Pillow"
    called = next((word for word in sys.argv[1:] if word in COMMANDS), "this")
    return (
        f"`{called}` needs all of sklearn-pretrained, and its dependency {missing} is not "
        "installed. Install them with: pip install sklearn-pretrained (in a clone: pip install .). "
        "Without them there is `predict`, for files that `export` wrote."
    )


def _app() -> Any:
    # Where exported files run alone, the extra would bring torch.
    install = "sklearn-pretrained[command]" if find_spec("torch") else "typer"
    typer = need("typer", install=install, purpose="The command line")
    app = typer.Typer(
        name=PROGRAM,
        help="Features of images and texts from pretrained networks.",
        epilog=f"`{PROGRAM} COMMAND --help` shows what a command takes, with examples.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        traceback: bool = typer.Option(  # noqa: FBT001  read where errors are told
            False, "--traceback", help="Show where an error happened."
        ),
    ) -> None:
        pass

    for name in COMMANDS:
        module = import_module(f".{name}", __name__)
        app.command(
            name,
            help=_paragraphs(module.command),
            no_args_is_help=_needs_words(module),
            epilog=_examples(module),
        )(module.command)
    return app


def _needs_words(module: Any) -> bool:
    return not getattr(module, "RUNS_ALONE", False)


def _paragraphs(command: Any) -> str:
    """Give a docstring one line for each paragraph: help breaks it where the window ends."""
    said = inspect.getdoc(command) or ""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in said.split("\n\n"))


def _examples(module: Any) -> str:
    """Write a command's examples as help shows them: what is typed, and what it does below."""
    lines = [line for typed, does in module.EXAMPLES for line in (f"  {typed}", f"      {does}")]
    return "\n".join(["Examples:", *lines, f"Each stands behind `{PROGRAM}`."])


def _show_warning(message: Warning | str, *_where: Any, **_how: Any) -> None:
    sys.stderr.write(f"Warning: {message}\n")
