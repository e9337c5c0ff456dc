"""The C library's allocator → one that keeps the pages which forwards free and ask for again."""

from __future__ import annotations

import ctypes
import sys

from ....process import once

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names and values of glibc's malloc.h
_MIB = 1 << 20


@once("glibc keeps the pages that a forward frees, for the next one")
def keep_pages() -> bool:
    """Make glibc keep freed memory, once in a process; say whether that was possible.

    An activation has some megabytes. glibc gives blocks of that size back to the system as soon
    as they are freed, and the system clears each page anew at the next forward, which costs as
    much as many a convolution. With larger thresholds a process keeps what its largest forward
    needed. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  musl has no such function
        mallopt = library.mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    wanted = {
        _MMAP_THRESHOLD: 1024 * _MIB,
        _TRIM_THRESHOLD: 2048 * _MIB - 1,
        _TOP_PAD: 64 * _MIB,
    }
    return all(mallopt(name, value) == 1 for name, value in wanted.items())
