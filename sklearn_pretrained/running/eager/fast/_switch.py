"""The environment → whether networks are made faster."""

from __future__ import annotations

import os

VARIABLE = "SKLEARN_PRETRAINED_FAST"


def fast_paths() -> bool:
    """Tell whether networks may be run by other routes to the same numbers; 0 turns that off."""
    return os.environ.get(VARIABLE, "1") != "0"
