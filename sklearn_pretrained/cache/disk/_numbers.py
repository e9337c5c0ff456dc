"""A bundle ↔ its number in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ...recipe import Bundle
from ._format import outputs_json, read_bundle

_FIND = "SELECT id FROM bundles WHERE recipe = ? AND outputs = ?"


def numbered(connection: sqlite3.Connection, recipe: str) -> Iterator[tuple[int, Bundle]]:
    """Yield the bundles of a recipe with their numbers in this file, the newest first."""
    for number, outputs in connection.execute(
        "SELECT id, outputs FROM bundles WHERE recipe = ? ORDER BY id DESC", (recipe,)
    ).fetchall():
        bundle = read_bundle(recipe, outputs)
        if bundle is not None:
            yield number, bundle


def known_number(connection: sqlite3.Connection, bundle: Bundle) -> int | None:
    """Find a bundle's number in this file."""
    found = connection.execute(_FIND, (bundle.recipe, outputs_json(bundle))).fetchone()
    return None if found is None else int(found[0])


def number(connection: sqlite3.Connection, bundle: Bundle) -> int:
    """Find a bundle's number in this file, or give it one."""
    found = known_number(connection, bundle)
    if found is None:
        given = connection.execute(
            "INSERT INTO bundles (recipe, outputs) VALUES (?, ?)",
            (bundle.recipe, outputs_json(bundle)),
        )
        return int(given.lastrowid or 0)
    return found
