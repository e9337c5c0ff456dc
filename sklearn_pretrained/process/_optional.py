"""A module name → the module, or an error that holds the command that installs it."""

from __future__ import annotations

import importlib
from typing import Any

from ..exceptions import MissingExtraError


def need(module: str, *, install: str, purpose: str) -> Any:
    """Import a package that only ``purpose`` needs; ``install`` is what pip would take."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        extra = install.removeprefix("sklearn-pretrained")
        in_a_clone = f" (in a clone: pip install '.{extra}')" if extra != install else ""
        raise MissingExtraError(
            f"{purpose} needs {module}. Install it with: pip install {install!r}{in_a_clone}"
        ) from None
