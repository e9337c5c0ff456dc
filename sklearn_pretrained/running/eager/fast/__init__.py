"""A frozen network → the same one with the same numbers, faster; each step optional, and tried."""

from ._pairs import flow
from ._precision import full_precision, is_native
from ._speed_up import speed_up
from ._switch import fast_paths

__all__ = ["fast_paths", "flow", "full_precision", "is_native", "speed_up"]
