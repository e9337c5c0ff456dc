"""Items → rows in their order: the stations, and two ways around."""

from ._detour import Detour
from ._lengths import by_length, lengths_of
from ._road import Road, windows

__all__ = [
    "Detour",
    "Road",
    "by_length",
    "lengths_of",
    "windows",
]
