"""Who holds a claim, and whether that process still lives."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import uuid
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: only the lease tells
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the file stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@cache
def host() -> str:
    """Name the running system: locks are seen by all processes of one kernel."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{platform.node()}-{uuid.getnode():x}"


class Owner:
    """One process, known by a file that it holds a lock on for as long as it lives.

    Parameters
    ----------
    folder : Path
        Where the processes that use one cache keep these files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        if fcntl is not None:
            for path in folder.glob("*.lock"):
                with contextlib.suppress(OSError):
                    _is_dead(path)
        self._descriptor, token = _lock_new(folder)
        self.name = f"{host()}/{token}"
        path = folder / f"{token}.lock"
        self._finish = weakref.finalize(self, _leave, self._descriptor, path, os.getpid())

    def leave(self) -> None:
        """Let go of the file, as the end of the process does too."""
        self._finish()

    def forget(self) -> None:
        """Close a parent's file in a forked child, where it would outlive the parent."""
        self._finish.detach()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def is_alive(name: str, folder: Path) -> bool | None:
    """Tell whether an owner lives; None where that cannot be seen from here."""
    at, _, token = name.partition("/")
    if at != host() or fcntl is None or not token.isalnum():
        return None
    try:
        return not _is_dead(folder / f"{token}.lock")
    except OSError:
        return None


def _is_dead(path: Path) -> bool:
    """Try to take an owner's lock, and clear its file away if that works."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _lock_new(folder: Path) -> tuple[int, str]:
    while True:
        token = secrets.token_hex(8)
        path = folder / f"{token}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if fcntl is None:
            return descriptor, token
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have taken the file, new and not yet locked, for a dead one's.
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:  # noqa: PTH116
                return descriptor, token
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:  # a file system without locks: only the lease tells
            return descriptor, token
        os.close(descriptor)


def _leave(descriptor: int, path: Path, pid: int) -> None:
    if os.getpid() != pid:  # a forked child ends; the file is its parent's
        return
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.close(descriptor)
