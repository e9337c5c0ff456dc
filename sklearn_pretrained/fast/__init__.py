"""A frozen network → the same one with the same numbers, faster; each step optional, and tried."""

from ._speed_up import speed_up
from ._switch import fast_paths

__all__ = ["fast_paths", "speed_up"]
