"""A row ↔ the bytes that stand for it on disk, and the tables that they lie in.

The file is a SQLite database whose ``application_id`` is `APPLICATION` and whose ``user_version``
is the number of the format, `FORMAT`. Raise that number when a table or a record changes its
meaning; add to `MIGRATIONS` what turns a file of the number before into one of this, and a file to
the tests (tests/fixtures/make_cache.py). A file of a higher number is left alone by older versions
of this package, which then compute without it. The size of its pages is no part of the format.

``bundles``
    One line for each set of outputs that a forward gave: the recipe's fingerprint and, as JSON,
    a list of ``[name, width]``.
``items``
    The number of a row → bundle and digest. Numbers grow, and none is given twice, so that what is
    stored comes to the end of each table.
``blocks``
    The last of many rows → the last row of the block before, what stands for bundle and digest of
    each row, the rows' numbers (each number takes eight bytes), and a checksum. They say what
    ``items`` says of older rows, and are read in its place where none is damaged or missing.
``uses``
    The first bits of rows' numbers → when one of these rows was last used, in seconds since 1970.
``rows``
    Number → record. A record is ``width`` little-endian float32 numbers (float16 where the recipe
    ends in ``:float16``) and eight bytes of checksum: XXH3-64 of the numbers, seeded by XXH3-64 of
    the digest, which is seeded by XXH3-64 of the recipe and the JSON. So a row that strays to
    another key is told as well as a row that changed.
``claims``, ``claimants``
    Rows that are computed at present, each with a ticket; and for each ticket its owner, and how
    many times it has stored rows.
``counts``
    Hits, misses and forwards since the file was made; and the first bits of the last number.
``facts``
    What is known of a recipe's rows as a whole: (recipe, name) → bytes, and their checksum.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ...process import remembered
from ...recipe import Bundle

FORMAT = 3
APPLICATION = 0x736B7072  # "skpr"
# A row that is looked up is a page that is read: larger ones cost more in a file of a million rows.
# Smaller ones cost more where rows are wide.
PAGE = 8192
TABLES = {
    "bundles": """CREATE TABLE bundles (
        id INTEGER PRIMARY KEY, recipe TEXT NOT NULL, outputs TEXT NOT NULL,
        UNIQUE (recipe, outputs))""",
    "items": """CREATE TABLE items (
        id INTEGER PRIMARY KEY, bundle INTEGER NOT NULL, digest BLOB NOT NULL)""",
    "blocks": "CREATE TABLE blocks (id INTEGER PRIMARY KEY, content BLOB NOT NULL)",
    "uses": "CREATE TABLE uses (id INTEGER PRIMARY KEY, used INTEGER NOT NULL)",
    "rows": "CREATE TABLE rows (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "claims": """CREATE TABLE claims (
        bundle INTEGER NOT NULL, digest BLOB NOT NULL, ticket INTEGER NOT NULL,
        PRIMARY KEY (bundle, digest)) WITHOUT ROWID""",
    "claimants": """CREATE TABLE claimants (
        ticket INTEGER PRIMARY KEY, owner TEXT NOT NULL, beats INTEGER NOT NULL)""",
    "counts": """CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID""",
    "facts": """CREATE TABLE facts (
        recipe TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (recipe, name)) WITHOUT ROWID""",
}
# From each older format to the next one.
MIGRATIONS = {
    1: ("DROP TABLE claims", TABLES["claims"], TABLES["claimants"], TABLES["facts"]),
    2: (
        *(TABLES[name] for name in ("items", "blocks", "uses")),
        "INSERT OR IGNORE INTO items SELECT row, bundle, digest FROM keys ORDER BY row",
        "INSERT INTO uses SELECT row >> 6, max(used) FROM keys GROUP BY row >> 6",
        "DROP TABLE keys",
    ),
}
_CHECKSUM = 8
_FLOATS: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


def structure(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """List our tables' columns with their types: what counts of a format, however it is written."""
    found = connection.execute(
        "SELECT m.name, c.name, upper(c.type), c.[notnull], c.pk "
        "FROM sqlite_master m, pragma_table_info(m.name) c ORDER BY m.name, c.cid"
    )
    return [column for column in found if column[0] in TABLES]


@remembered("the structure of a cache file")
def right_structure() -> list[tuple[Any, ...]]:
    """List what `structure` finds in a file of this format."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for table in TABLES.values():
            connection.execute(table)
        return structure(connection)


def outputs_json(bundle: Bundle) -> str:
    """Write a bundle's outputs in one canonical form."""
    return json.dumps(bundle.outputs, separators=(",", ":"))


@remembered("bundles of cache files", maxsize=1024)
def read_bundle(recipe: str, outputs: str) -> Bundle | None:
    """Read a bundle, None where the text is damaged."""
    try:
        bundle = Bundle(
            recipe, tuple((str(name), int(width)) for name, width in json.loads(outputs))
        )
    except (TypeError, ValueError):
        return None
    # Only the canonical form: what a changed byte makes of it names no bundle of ours.
    return bundle if outputs_json(bundle) == outputs else None


@remembered("seeds of checksums", maxsize=1024)
def seed_of(bundle: Bundle) -> int:
    """Hash what a record means, to seed the checksums of all its records."""
    return xxhash.xxh3_64_intdigest(f"{bundle.recipe}\n{outputs_json(bundle)}".encode())


def record_bytes(bundle: Bundle) -> int:
    """Count the bytes of one record."""
    return bundle.width * _FLOATS[bundle.dtype].itemsize + _CHECKSUM


def encode(bundle: Bundle, digests: Sequence[bytes], rows: NDArray[np.float32]) -> list[bytes]:
    """Turn rows into records."""
    rows = np.ascontiguousarray(rows, dtype=_FLOATS[bundle.dtype])
    if rows.shape != (len(digests), bundle.width):
        raise ValueError(f"expected rows of shape {(len(digests), bundle.width)}, got {rows.shape}")
    seed = seed_of(bundle)
    records = []
    for digest, row in zip(digests, rows, strict=True):
        values = row.tobytes()
        check = xxhash.xxh3_64_digest(values, xxhash.xxh3_64_intdigest(digest, seed))
        records.append(values + check)
    return records


def decode(
    bundle: Bundle, digests: Sequence[bytes], records: Sequence[Any]
) -> list[NDArray[np.float32] | None]:
    """Turn records into rows; None for each that is not what was stored under that key."""
    size, seed = record_bytes(bundle), seed_of(bundle)
    # SQLite keeps a type with each value, and a damaged file may name any.
    there = [i for i, r in enumerate(records) if isinstance(r, bytes) and len(r) == size]
    block = memoryview(b"".join([records[i] for i in there]))
    words = np.frombuffer(block, np.uint8).reshape(len(there), size)
    checks = words[:, -_CHECKSUM:].tobytes()
    values = words[:, :-_CHECKSUM].view(_FLOATS[bundle.dtype])
    rows: list[NDArray[np.float32] | None] = [None] * len(records)
    for k, i in enumerate(there):
        start = k * size
        check = xxhash.xxh3_64_digest(
            block[start : start + size - _CHECKSUM], xxhash.xxh3_64_intdigest(digests[i], seed)
        )
        if check == checks[k * _CHECKSUM : (k + 1) * _CHECKSUM]:
            rows[i] = values[k]
    return rows


def seal(recipe: str, name: str, value: bytes) -> bytes:
    """Add a checksum to a fact."""
    return value + xxhash.xxh3_64_digest(f"{recipe}\n{name}\n".encode() + value)


def unseal(recipe: str, name: str, sealed: Any) -> bytes | None:
    """Take a fact from what is stored, None where it is damaged."""
    value = sealed[:-_CHECKSUM] if isinstance(sealed, bytes) else b""
    return value if seal(recipe, name, value) == sealed else None
