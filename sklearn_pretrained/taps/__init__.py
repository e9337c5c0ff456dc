"""Chosen layers in one forward → rows: listeners, taps and poolings."""

from ._callers_settings import as_by_default, on_cpu_by_default, without_autocast
from ._listeners import (
    Listener,
    forget,
    is_changed_behind,
    is_input_read,
    is_output_read,
    is_plain,
    listening,
)
from ._pooling import WHOLE, Layout, names, pool
from ._shared_copy import shared_copy
from ._taps import Tap, first_tensor, read, tensors
from ._window_pooling import check_outputs, counting, join_windows, pool_windows

__all__ = [
    "WHOLE",
    "Layout",
    "Listener",
    "Tap",
    "as_by_default",
    "check_outputs",
    "counting",
    "first_tensor",
    "forget",
    "is_changed_behind",
    "is_input_read",
    "is_output_read",
    "is_plain",
    "join_windows",
    "listening",
    "names",
    "on_cpu_by_default",
    "pool",
    "pool_windows",
    "read",
    "shared_copy",
    "tensors",
    "without_autocast",
]
