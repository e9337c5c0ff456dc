"""Rows that are read → the groups of which a file should note that they were used.

A group is what was stored together, up to 64 rows: so a file of a million rows has a small table
of uses, and reading seldom writes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from ._blocks import GROUP

# Seconds after which a row that is read is noted as used.
TOUCH = 600
# Groups that are remembered as noted.
_MOST = 100_000


class Uses:
    """What one process knows of when rows were last used, so as to ask the file seldom."""

    def __init__(self) -> None:
        self._recent: set[int] = set()
        self._until = 0.0

    def unknown(self, ids: Iterable[int]) -> list[int]:
        """Return the groups of rows of which the file should be asked."""
        if time.time() > self._until or len(self._recent) > _MOST:
            self._recent, self._until = set(), time.time() + TOUCH
        return list({id_ >> GROUP for id_ in ids} - self._recent)

    def outdated(self, told: Iterable[tuple[int, Any]]) -> list[int]:
        """Return of the groups that the file told those whose use is to be noted."""
        old = time.time() - TOUCH
        found = list(told)
        self._recent.update(group for group, _ in found)
        return [group for group, used in found if isinstance(used, int) and used < old]


def note(connection: sqlite3.Connection, groups: list[int]) -> None:
    """Note that groups are used."""
    now = int(time.time())
    connection.executemany(
        "UPDATE uses SET used = ? WHERE id = ?", [(now, group) for group in sorted(groups)]
    )
