"""A warning → the user's own line that led to it."""

from __future__ import annotations

import sys
import warnings

# Packages whose frames lie between a user's line and the place that warns.
_PASS_ON = {"sklearn_pretrained", "sklearn", "joblib", "contextlib", "threading", "concurrent"}


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line outside this package and those that only pass calls on."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001  there is no other way to ask who called
    while frame.f_back is not None and _package(frame.f_globals) in _PASS_ON:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__", "")).partition(".")[0]
