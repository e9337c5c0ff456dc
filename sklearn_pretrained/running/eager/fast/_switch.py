"""The environment, and the caller's hooks → whether networks are made faster."""

from __future__ import annotations

import os

from ....backbones import hooks_for_all

VARIABLE = "SKLEARN_PRETRAINED_FAST"


def fast_paths() -> bool:
    """Tell whether networks may be run by other routes to the same numbers; 0 turns that off.

    A hook on every module of the process would not be called for modules that are run as one.
    """
    return os.environ.get(VARIABLE, "1") != "0" and not hooks_for_all()
