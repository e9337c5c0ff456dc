"""A module name → the module, or an error that holds the command that installs it."""

from __future__ import annotations

import importlib
from importlib import metadata
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


def need_torchvision() -> None:
    """Import torchvision, or say how to install one that belongs to this torch."""
    try:
        importlib.import_module("torchvision")
    except (OSError, RuntimeError) as error:  # its compiled part was built for another torch
        found = " and ".join(
            f"{name} {metadata.version(name)}" for name in ("torch", "torchvision")
        )
        raise ImportError(
            f"{found} do not work together ({error}). Install both from one index, either "
            "pip install --force-reinstall torch torchvision, or, for the CPU alone, the same "
            "with --index-url https://download.pytorch.org/whl/cpu"
        ) from None
