"""Some work on a file → its result; or None and one warning, whatever goes wrong with the file."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ...exceptions import CacheWarning
from ...process import warn
from ._file import CacheFile, SetAsideError, UnusableFileError

# Seconds for which a file that had a fault is left alone.
PAUSE = 30.0
T = TypeVar("T")


class Attempts:
    """What is done with one file, so that no fault of it fails anyone.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = CacheFile(path)
        # Seconds that it takes to store some rows.
        self.price = 0.0
        self._paused: dict[str, float] = {}
        self._warned: set[str] = set()

    def is_paused(self, kind: str) -> bool:
        """Tell whether reading or writing is left alone for a while, after a fault."""
        return time.monotonic() < self._paused.get(kind, 0.0)

    @contextlib.contextmanager
    def faults(self, kind: str) -> Iterator[None]:
        """Turn whatever goes wrong with the file into one warning, and go on."""
        try:
            yield
        except CacheWarning:
            raise
        except SetAsideError as error:
            self.warn(f"is damaged: {error.__cause__}; {error}, and a new file is started")
        except UnusableFileError as error:
            self._pause("read", "write")
            self.warn(f"{error}; it is left unchanged, and rows are computed without it")
        except Exception as error:
            # What cannot be read for a lock cannot be written either.
            self._pause(kind, *(["write"] if _is_locked(error) else []))
            verb = {"read": "read", "write": "written"}[kind]
            self.warn(f"cannot be {verb}: {error}; rows are computed without it")

    def attempt(self, work: Callable[[sqlite3.Connection], T], *, write: bool = False) -> T | None:
        """Do something in a transaction; return None where the file cannot be used at present."""
        kind = "write" if write else "read"
        # The lock first: while a thread waits for it, another may find the file at fault.
        with self.faults(kind), self.file.lock:
            if not self.is_paused(kind):
                with self.file.transaction(write=write) as connection:
                    return work(connection)
        return None

    def try_to_write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Write what is not needed: a file that is read-only is no fault, but to wait for it is."""
        with self.faults("write"), self.file.lock:
            if not self.is_paused("write"):
                try:
                    with self.file.transaction(write=True) as connection:
                        work(connection)
                except (sqlite3.Error, OSError, SetAsideError, UnusableFileError) as error:
                    if _is_locked(error):
                        raise

    def _pause(self, *kinds: str) -> None:
        for kind in kinds:
            self._paused[kind] = time.monotonic() + PAUSE

    def warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warn(f"The cache {self.path} {what}.", CacheWarning)


def _is_locked(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
