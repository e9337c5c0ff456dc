"""A module name → the module, or an error that holds the command that installs it."""

from __future__ import annotations

import importlib
from typing import Any

from .exceptions import MissingExtraError


def need(module: str, *, extra: str, purpose: str) -> Any:
    """Import ``module``, which comes with the package's ``extra``, for ``purpose``."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{purpose} needs the package {module.partition('.')[0]!r}. "
            f"Install it with: pip install 'sklearn-pretrained[{extra}]'"
        ) from error
