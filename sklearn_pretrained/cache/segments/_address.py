"""An address that fsspec opens → the operations on the files there."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...exceptions import MissingExtraError
from ...process import need
from ._location import Folder, Location, UnreachableError, Write

# Stores that show an object once all of it has come; elsewhere a file is renamed.
_PUT_WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "r2", "memory"}


class Address:
    """A folder of any store that fsspec reaches, such as ``s3://bucket/features``.

    Parameters
    ----------
    url : str
    """

    def __init__(self, url: str) -> None:
        self.name, self._sizes = url, dict[str, int]()
        self._reach()

    def names(self, suffix: str) -> set[str]:
        """List the files whose names end so; hidden ones are not whole yet."""
        sizes = {}
        with _reaching(self.name), contextlib.suppress(FileNotFoundError):
            store, top = self._reach()
            store.invalidate_cache(top)  # others write too
            for entry in store.ls(top, detail=True):
                name = entry["name"].rpartition("/")[2]
                if name.endswith(suffix) and not name.startswith(".") and entry["type"] == "file":
                    sizes[name] = int(entry["size"])
        self._sizes = sizes
        return set(sizes)

    def size(self, name: str) -> int:
        """Tell the bytes of a file, which never change; 0 where it is gone."""
        if name not in self._sizes:
            with _reaching(self.name):
                store, top = self._reach()
                try:
                    return int(store.info(f"{top}/{name}")["size"])
                except FileNotFoundError:
                    return 0
        return self._sizes[name]

    @contextmanager
    def opened(self, name: str) -> Iterator[Any]:
        """Give a file of which only what is asked for is fetched."""
        size = self.size(name)
        if not size:
            raise FileNotFoundError(f"{self.name}/{name}")
        with _Remote(lambda start, end: self._fetch(name, start, end), size) as file:
            yield file

    def _fetch(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        with _reaching(self.name):
            store, top = self._reach()
            content = store.cat_file(f"{top}/{name}", start=start, end=end)
        return bytes(content)

    def read(self, name: str) -> bytes:
        """Return a small file."""
        return self._fetch(name)

    def put(self, name: str, write: Write) -> None:
        """Put a file in one request, or give it its name when it is whole."""
        held = io.BytesIO()
        write(held)
        with _reaching(self.name):
            store, top = self._reach()
            protocols = {store.protocol} if isinstance(store.protocol, str) else {*store.protocol}
            if protocols & _PUT_WHOLE:
                store.pipe_file(f"{top}/{name}", held.getvalue())
                return
            folder, _, last = f"{top}/{name}".rpartition("/")
            temporary = f"{folder}/.{last}.{secrets.token_hex(4)}.tmp"
            store.makedirs(folder, exist_ok=True)
            try:
                store.pipe_file(temporary, held.getvalue())
                store.mv(temporary, f"{top}/{name}")
            except BaseException:
                with contextlib.suppress(Exception):
                    store.rm_file(temporary)
                raise

    def put_first(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one; where a store cannot tell, the last one stays."""
        with _reaching(self.name):
            store, top = self._reach()
            place = f"{top}/{name}"
            store.makedirs(place.rpartition("/")[0], exist_ok=True)
            if store.exists(place):
                return False
            try:
                store.pipe_file(place, content, mode="create")
            except FileExistsError:
                return False
        return True

    def remove(self, name: str) -> None:
        """Remove a file; that it is gone already is right."""
        with _reaching(self.name), contextlib.suppress(FileNotFoundError):
            store, top = self._reach()
            store.rm_file(f"{top}/{name}")

    def rename(self, name: str, other: str) -> None:
        """Give a file another name; an object store copies it."""
        with _reaching(self.name):
            store, top = self._reach()
            store.mv(f"{top}/{name}", f"{top}/{other}")

    def sweep(self) -> None:
        """Leave what is half written: an object store shows nothing of it."""

    def _reach(self) -> tuple[Any, str]:
        """Return the store and the path in it; another thread or process gets one of its own."""
        fsspec = need(
            "fsspec.core", install="sklearn-pretrained[fsspec]", purpose=f"cache={self.name!r}"
        )
        try:
            store, top = fsspec.url_to_fs(self.name)
        except ImportError as error:
            raise MissingExtraError(
                f"cache={self.name!r} needs what fsspec reaches that store with: {error}"
            ) from error
        except ValueError as error:  # fsspec knows no such store
            raise ValueError(f"cache={self.name!r} cannot be opened: {error}") from error
        return store, top.rstrip("/")


class _Remote(io.RawIOBase):
    """A file that is fetched piece by piece."""

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        self._fetch, self._size, self._at = fetch, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, target: Any) -> int:
        end = min(self._at + len(target), self._size)
        if end <= self._at:
            return 0
        content = self._fetch(self._at, end)
        target[: len(content)] = content
        self._at += len(content)
        return len(content)


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Turn what the packages of stores raise into one error; what is not there is told apart."""
    try:
        yield
    except (FileNotFoundError, FileExistsError, MissingExtraError, UnreachableError):
        raise
    except Exception as error:
        raise UnreachableError(
            f"{url} cannot be reached: {type(error).__name__}: {error}"
        ) from error


def is_address(place: Any) -> bool:
    """Tell an address, such as ``s3://bucket/features``, from a path."""
    return isinstance(place, str) and re.match(r"[a-z][a-z0-9+.-]+(://|::)", place) is not None


def locate(place: str | os.PathLike[str]) -> Location:
    """Return the operations on the files of a folder or an address."""
    if not is_address(place):
        return Folder(Path(place))
    if str(place).startswith(("file://", "local://")):
        return Folder(Path(str(place).partition("://")[2]))
    return Address(str(place))
