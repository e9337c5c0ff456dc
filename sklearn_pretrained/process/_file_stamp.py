"""A path of a file or folder → a stamp, kept as long as what is in it; None where it is young."""

from __future__ import annotations

import os
import time
from pathlib import Path

YOUNG = 3.0
"""Seconds. A file system's clock may stand still for up to two, so what is younger may change again
and look the same."""
Stamp = tuple[str, int, int, int, int, int]


def stamp_of(path: str | Path) -> Stamp | None:
    """Look at a file or a folder, which must be there.

    Whoever writes a file and sets its date back still changes the time of the last change of its
    entry, which no program can set. The file is opened, since network file systems may answer from
    memory before.
    """
    now = time.time()
    opened = os.open(path, os.O_RDONLY)
    try:
        found = os.fstat(opened)
    finally:
        os.close(opened)
    if now - max(found.st_mtime, found.st_ctime) <= YOUNG:
        return None
    where = os.fspath(path), found.st_dev, found.st_ino
    return *where, found.st_size, found.st_mtime_ns, found.st_ctime_ns
