"""A path → a SQLite connection that may be trusted, or the reason why there is none."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ...process import hold_during_forks
from ._blocks import rebuild_blocks
from ._format import (
    APPLICATION,
    FORMAT,
    MIGRATIONS,
    PAGE,
    TABLES,
    right_structure,
    structure,
)
from ._owner import Owner, locked

# Seconds for which a transaction waits for those of other processes.
PATIENCE = 5.0
# What a new file is made with; asked of a file that is there, it would write into it.
_NEW = (f"page_size={PAGE}", "auto_vacuum=INCREMENTAL")
_BEFORE_LOOKING = (
    "trusted_schema=OFF",
    "cell_size_check=ON",
    # A page that the disk cannot give would kill the process instead of raising.
    "mmap_size=0",
)
_OURS = (
    "cache_size=-131072",
    "synchronous=NORMAL",
    # Not a write-ahead log: it is unsafe on network file systems, and before SQLite 3.51.3 it
    # could lose its place.
    "journal_mode=TRUNCATE",
)
_APPLICATION_AT = 68  # in the header of any SQLite file
# Connections of a parent process: a child may neither use nor close them.
_of_parents: list[sqlite3.Connection | None] = []


class UnusableFileError(Exception):
    """The file is not this version's to read or write; it is left as it is."""


class SetAsideError(Exception):
    """The file was damaged and is set aside; the next use begins a fresh one."""


class CacheFile:
    """One SQLite file: opened at first use, again when it was replaced or after a fork.

    Every use holds `lock`; none of them calls foreign code.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.beside = path.with_name(path.name + "-owners")
        self.lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._owner: Owner | None = None
        hold_during_forks(self)

    @contextlib.contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a transaction, which ends with the block."""
        with self.lock:
            try:
                connection = self._connect()
                # A writer says so at once: to become one later could never be waited for.
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", 0) & 0xFF
                if code == sqlite3.SQLITE_BUSY:
                    self._roll_back()
                    raise
                self.close()
                if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                    self._refuse_or_set_aside(error)
                raise
            except BaseException:
                self._roll_back()
                raise

    def owner(self) -> str:
        """Name this process to the others that use the file."""
        with self.lock:
            if self._owner is None:
                self._owner = Owner(self.beside)
            return self._owner.name

    def disown(self) -> None:
        """Let all see this process's claims as those of a dead one; the next is under a new name.

        Closing a file is all that this takes, which a full disk does not prevent.
        """
        with self.lock:
            owner, self._owner = self._owner, None
            if owner is not None:
                owner.leave()

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self.lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def before_fork(self) -> None:
        """Let no thread be inside SQLite."""
        self.lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; a child opens the file anew."""
        if in_child:
            self.lock = threading.RLock()
            _of_parents.append(self._connection)
            self._connection = None
            if self._owner is not None:
                self._owner.forget()
                self._owner = None
        else:
            self.lock.release()

    # -- opening

    def _connect(self) -> sqlite3.Connection:
        there = self._identity()
        if self._connection is not None:
            if there == self._opened:
                if self._connection.in_transaction:  # left by an interruption
                    self._roll_back()
                return self._connection
            self.close()
        if self.path.is_dir():
            raise UnusableFileError("is a folder")
        if there is not None and self.path.stat().st_nlink > 1:
            # Each name has a journal of its own, and SQLite would not see the other's.
            raise UnusableFileError(
                "has several hard links, which SQLite cannot handle safely: use symbolic links "
                "instead"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._opened = there
        connection = sqlite3.connect(
            self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.text_factory = _lenient
            _set(connection, _BEFORE_LOOKING)
            # One transaction, so that another process cannot create the tables between two looks.
            connection.execute("BEGIN")
            found = self._format(connection)
            connection.execute("COMMIT")
            _set(connection, _OURS if found else _NEW + _OURS)
            if found != FORMAT:
                self._bring_up(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._opened = self._identity()
        return connection

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        """Turn an empty file, or one of an older format, into one of this format."""
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have been faster.
        found = self._format(connection)
        steps = [MIGRATIONS[n] for n in range(found, FORMAT)] if found else [TABLES.values()]
        if found != FORMAT:
            try:
                for statement in itertools.chain.from_iterable(steps):
                    connection.execute(statement)
                if found:
                    rebuild_blocks(connection)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # a table lacks
                    raise _damage() from error
                raise
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
            self._format(connection)
        connection.execute("COMMIT")

    @staticmethod
    def _format(connection: sqlite3.Connection) -> int:
        """Return the number of a format of ours, 0 for an empty file; raise for any other."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (n_objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == version == n_objects == 0:
            return 0
        if application != APPLICATION:
            raise UnusableFileError("is a database of another program")
        if version > FORMAT:
            raise UnusableFileError(
                f"has format {version}, written by a newer version of sklearn-pretrained than this "
                f"one, which reads format {FORMAT}"
            )
        is_right = version == FORMAT and structure(connection) == right_structure()
        if version not in MIGRATIONS and not is_right:
            raise _damage()
        return int(version)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    # -- damage

    def _refuse_or_set_aside(self, error: sqlite3.Error) -> None:
        if not self._has_our_mark():
            raise UnusableFileError("is not a cache of features") from error
        self.beside.mkdir(exist_ok=True)
        aside = self.path.with_name(f"{self.path.name}.damaged-{secrets.token_hex(4)}")
        with locked(self.beside / "setting-aside"):
            if self._identity() != self._opened:
                raise SetAsideError("another process set it aside") from error
            # The journal first: it belongs to this file, and must not be taken for the next one's.
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self.path}-journal").replace(f"{aside}-journal")
            self.path.replace(aside)
        raise SetAsideError(f"it is kept as {aside.name}") from error

    def _has_our_mark(self) -> bool:
        """Look into the header, so that no file of somebody else is ever moved."""
        with self.path.open("rb") as file:
            header = file.read(100)
        mark = header[_APPLICATION_AT : _APPLICATION_AT + 4]
        return mark == APPLICATION.to_bytes(4, "big")


def _damage() -> sqlite3.DatabaseError:
    damage = sqlite3.DatabaseError("the tables are not those of its format")
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return damage


def _set(connection: sqlite3.Connection, pragmas: tuple[str, ...]) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _lenient(text: bytes) -> str:
    return text.decode("utf-8", "replace")
