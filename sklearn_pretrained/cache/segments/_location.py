"""A folder → the few operations on its files, none of which shows half a file.

On a disk a file gets its name when it is whole. An object store has no other names to give: there a
file is put in one request, and is there when all of it has come.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

# What no living process can still be writing, in seconds.
_OLD = 24 * 3600
Write = Callable[[Any], None]
"""Writes a file's content to a file object."""


class UnreachableError(OSError):
    """A store cannot be asked; nothing is known of what it holds."""


class Location(Protocol):
    """Files by their names, in one folder."""

    name: str

    def names(self, suffix: str) -> set[str]:
        """List the files whose names end so; hidden ones are not whole yet."""

    def size(self, name: str) -> int:
        """Tell the bytes of a file; 0 where it is gone."""

    def opened(self, name: str) -> contextlib.AbstractContextManager[Any]:
        """Give what pyarrow opens."""

    def read(self, name: str) -> bytes:
        """Return a small file."""

    def put(self, name: str, write: Write) -> None:
        """Write a file that others see once it is whole, and that outlives a power cut."""

    def put_first(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one; tell whether that was so."""

    def remove(self, name: str) -> None:
        """Remove a file; that it is gone already is right."""

    def rename(self, name: str, other: str) -> None:
        """Give a file another name."""

    def sweep(self) -> None:
        """Remove what killed processes left half written."""


class Folder:
    """A folder on a disk, or on a network mount.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)

    def names(self, suffix: str) -> set[str]:
        """List the files whose names end so; hidden ones are not whole yet."""
        try:
            with os.scandir(self.path) as found:
                names = [entry.name for entry in found]
        except FileNotFoundError:
            names = []
        return {name for name in names if name.endswith(suffix) and not name.startswith(".")}

    def size(self, name: str) -> int:
        """Tell the bytes of a file; 0 where it is gone."""
        try:
            return (self.path / name).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """Give the path."""
        yield self.path / name

    def read(self, name: str) -> bytes:
        """Return a small file."""
        return (self.path / name).read_bytes()

    def put(self, name: str, write: Write) -> None:
        """Write under a temporary name, see it on the disk, and give the file its name."""
        with self._temporary(name, write) as temporary:
            temporary.replace(self.path / name)

    def put_first(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one; the first of two writers gives it its name."""
        with self._temporary(name, lambda file: file.write(content)) as temporary:
            try:
                os.link(temporary, self.path / name)
            except FileExistsError:
                return False
            except OSError:
                temporary.replace(self.path / name)  # this file system has no links
        return True

    @contextmanager
    def _temporary(self, name: str, write: Write) -> Iterator[Path]:
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.{os.getpid():x}-{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a file; that it is gone already is right."""
        (self.path / name).unlink(missing_ok=True)

    def rename(self, name: str, other: str) -> None:
        """Give a file another name."""
        (self.path / name).replace(self.path / other)

    def sweep(self) -> None:
        """Remove what killed processes left half written."""
        for left in self.path.glob("**/.*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _OLD:
                    left.unlink()
