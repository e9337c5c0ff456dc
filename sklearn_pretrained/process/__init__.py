"""The process and its host → what is kept there, and what of the user's is left alone."""

from ._file_stamp import Stamp, stamp_of
from ._optional import need, need_torchvision
from ._process import (
    ForkLock,
    give_back_memory,
    hold_during_forks,
    in_children,
    keep,
    once,
    release,
    remembered,
)
from ._quiet import quiet
from ._uninterrupted import uninterrupted
from ._warn import warn

__all__ = [
    "ForkLock",
    "Stamp",
    "give_back_memory",
    "hold_during_forks",
    "in_children",
    "keep",
    "need",
    "need_torchvision",
    "once",
    "quiet",
    "release",
    "remembered",
    "stamp_of",
    "uninterrupted",
    "warn",
]
