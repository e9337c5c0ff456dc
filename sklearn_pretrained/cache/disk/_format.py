"""A row ↔ the bytes that stand for it on disk, and the tables that they lie in.

The file is a SQLite database of 64 KiB pages whose ``application_id`` is `APPLICATION` and whose
``user_version`` is the number of the format, `FORMAT`. Raise that number when a table or a record
changes its meaning: a file of a higher number is left alone by older versions of this package,
which then compute without it.

``bundles``
    One line for each set of outputs that a forward gave: the recipe's fingerprint and, as JSON,
    a list of ``[name, width]``.
``keys``
    (bundle, digest) → the number of a row, and when it was last used, in seconds since 1970.
``rows``
    Number → record. A record is ``width`` little-endian float32 numbers and eight bytes of
    checksum: XXH3-64 of the numbers, seeded by XXH3-64 of the digest, which is seeded by XXH3-64
    of the recipe and the JSON. So a row that strays to another key is told as well as a row that
    changed.
``claims``
    Rows that a process computes at present: who, under which ticket, and until when that holds.
``counts``
    Hits, misses and forwards since the file was made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ..._process import remembered
from ..._recipe import Bundle

FORMAT = 1
APPLICATION = 0x736B7072  # "skpr"
PAGE = 65536
TABLES = {
    "bundles": """CREATE TABLE bundles (
        id INTEGER PRIMARY KEY, recipe TEXT NOT NULL, outputs TEXT NOT NULL,
        UNIQUE (recipe, outputs))""",
    "keys": """CREATE TABLE keys (
        bundle INTEGER NOT NULL, digest BLOB NOT NULL, row INTEGER NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (bundle, digest)) WITHOUT ROWID""",
    "rows": "CREATE TABLE rows (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    "claims": """CREATE TABLE claims (
        bundle INTEGER NOT NULL, digest BLOB NOT NULL, owner TEXT NOT NULL, ticket TEXT NOT NULL,
        until REAL NOT NULL, PRIMARY KEY (bundle, digest)) WITHOUT ROWID""",
    "counts": """CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID""",
}
_CHECKSUM = 8
_FLOAT = np.dtype("<f4")


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
    return bundle.width * _FLOAT.itemsize + _CHECKSUM


def encode(bundle: Bundle, digests: Sequence[bytes], rows: NDArray[np.float32]) -> list[bytes]:
    """Turn rows into records."""
    rows = np.ascontiguousarray(rows, dtype=_FLOAT)
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
    values = words[:, :-_CHECKSUM].view(_FLOAT)
    rows: list[NDArray[np.float32] | None] = [None] * len(records)
    for k, i in enumerate(there):
        start = k * size
        check = xxhash.xxh3_64_digest(
            block[start : start + size - _CHECKSUM], xxhash.xxh3_64_intdigest(digests[i], seed)
        )
        if check == checks[k * _CHECKSUM : (k + 1) * _CHECKSUM]:
            rows[i] = values[k]
    return rows
