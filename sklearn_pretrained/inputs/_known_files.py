"""An item that names a file → its digest, where the file is as it was when it was hashed.

A search asks for the rows of its items again for every candidate and fold. What is known of a file
is looked up by its stamp, so that a process reads it once.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any

from ..process import keep, stamp_of
from . import _digest

_MOST = 1 << 18  # at some 250 bytes each
_known: dict[bytes, bytes] = {}
keep(f"{__name__}._known", "digests of files", clear=_known.clear, size=_known.__len__)
_TELLS = os.name == "posix"
"""Whether a file's entry has a time that no program can set; Windows keeps when it was made."""


def place_of(item: Any, kind: str) -> bytes | None:
    """Return what stands for a file as it is now, and is read as ``kind``.

    None for other items, and where a change of the file might not show.
    """
    if not _TELLS or not isinstance(item, str | os.PathLike):
        return None
    path = os.fspath(item)
    if not isinstance(path, str):
        return None
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  a pipe would wait
            return None
        stamp = stamp_of(path)
    except (OSError, ValueError):  # whoever reads it says what is wrong
        return None
    return None if stamp is None else _digest.of_text(repr((kind, stamp)))[:16]


def known(place: bytes | None) -> bytes | None:
    """Return the digest of a file that is as it was."""
    return None if place is None else _known.get(place)


def remember(place: bytes | None, digest: bytes) -> None:
    """Note the digest of a file that was read after its place was found."""
    if place is None:
        return
    _known[place] = digest
    if len(_known) > _MOST:
        with contextlib.suppress(RuntimeError):  # another thread has just added one
            _known.pop(next(iter(_known)), None)
