"""Rows of one bundle ↔ a Parquet file that says what they are, and can tell that it is damaged.

A file has, for each item, the column ``item_digest`` (32 bytes), the column ``row_checksum``, and a
column of fixed-size lists for each output of the bundle; others may stand beside. The schema's
metadata holds, under ``sklearn_pretrained``, the number of the format, the recipe, the outputs and
the kind of file as JSON. The checksum is XXH3-64 of the row's float32 numbers, seeded by the
digest, the recipe and the outputs, so that a row that strays to another key is told as well as a
row that changed. Rows of items that could not be read have no digest.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from ...process import need
from ...recipe import Bundle
from ..disk._format import read_bundle, seed_of
from ._location import Write

FORMAT = 1
KEY = b"sklearn_pretrained"
DIGEST, CHECKSUM = "item_digest", "row_checksum"
SUFFIX = ".parquet"
# Rows that are read together.
GROUP = 1024
_BYTES = 32

Rows = NDArray[np.float32]


def arrow() -> tuple[Any, Any]:
    """Import pyarrow, and its part that reads and writes Parquet."""
    install, purpose = "sklearn-pretrained[parquet]", "A folder of features"
    return (
        need("pyarrow", install=install, purpose=purpose),
        need("pyarrow.parquet", install=install, purpose=purpose),
    )


@dataclass(frozen=True)
class Head:
    """What a file says of itself.

    Parameters
    ----------
    bundle : Bundle
    kind : str
        "segment", or what wrote it.
    more : dict
        Further facts.
    """

    bundle: Bundle
    kind: str
    more: dict[str, Any]


def checksums(bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> NDArray[np.uint64]:
    """Compute the checksum of each row."""
    seed = seed_of(bundle)
    dense = np.ascontiguousarray(rows, dtype="<f4")
    return np.fromiter(
        (
            xxhash.xxh3_64_intdigest(row.data, xxhash.xxh3_64_intdigest(digest, seed))
            for digest, row in zip(digests, dense, strict=True)
        ),
        np.uint64,
        len(dense),
    )


def columns(
    bundle: Bundle, digests: Sequence[bytes | None], rows: Rows, dtype: str = "float32"
) -> dict[str, Any]:
    """Lay rows out as the columns of a table; those without a digest are null."""
    pa, _ = arrow()
    known = np.array([digest is not None for digest in digests], dtype=bool)
    rows = np.asarray(rows, dtype).astype(np.float32)  # as they will be read
    sums = np.zeros(len(rows), np.uint64)
    sums[known] = checksums(bundle, [d for d in digests if d is not None], rows[known])
    missing = pa.array(~known)
    table = {
        DIGEST: pa.array(digests, pa.binary(_BYTES)),
        CHECKSUM: pa.array(sums, mask=~known),
    }
    for name, width in bundle.outputs:
        part = np.ascontiguousarray(rows[:, bundle.offsets[name]], dtype=dtype).reshape(-1)
        kind = pa.list_(pa.field("item", pa.from_numpy_dtype(dtype), nullable=False), width)
        table[name] = pa.FixedSizeListArray.from_arrays(pa.array(part), type=kind, mask=missing)
    return table


def metadata(bundle: Bundle, kind: str, more: Mapping[str, Any] | None = None) -> dict[bytes, Any]:
    """Say what a file holds, for its schema."""
    facts = {
        "format": FORMAT,
        "kind": kind,
        "recipe": bundle.recipe,
        "outputs": [list(output) for output in bundle.outputs],
        **(more or {}),
    }
    return {KEY: json.dumps(facts).encode()}


def head_of(schema: Any) -> Head | None:
    """Read what a file holds; None where it is not ours, or damaged, or of a later format."""
    try:
        facts = json.loads((schema.metadata or {})[KEY])
        if facts.pop("format") != FORMAT:
            return None
        recipe, outputs = facts.pop("recipe"), facts.pop("outputs")
        canonical = json.dumps(outputs, separators=(",", ":"))
        bundle = read_bundle(str(recipe), canonical)
        return None if bundle is None else Head(bundle, str(facts.pop("kind")), facts)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def matrix(table: Any, names: Iterable[str]) -> Rows:
    """Put columns of fixed-size lists side by side as float32; null ones are NaN."""
    parts = []
    for name in names:
        column = table.column(name).combine_chunks()
        width = column.type.list_size
        values = column.values.slice(column.offset * width, len(column) * width)
        part = np.array(values.to_numpy(zero_copy_only=False), np.float32).reshape(-1, width)
        if column.null_count:
            part[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
        parts.append(part)
    return parts[0] if len(parts) == 1 else np.hstack(parts)


def unique_name() -> str:
    """Name a file as no other writer does; names sort by the time of writing."""
    return f"{time.time_ns():016x}-{os.getpid():x}-{secrets.token_hex(4)}{SUFFIX}"


def writing(table: Any) -> Write:
    """Return what writes a table into a file."""
    _, parquet = arrow()
    return partial(
        parquet.write_table,
        table,
        row_group_size=GROUP,
        compression="none",  # numbers of networks do not shrink
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )


def to_table(bundle: Bundle, digests: Sequence[bytes], rows: Rows) -> Any:
    """Make the table of a segment."""
    pa, _ = arrow()
    fits = np.nanmax(np.abs(rows), initial=0.0) <= np.finfo(bundle.dtype).max
    table = pa.table(columns(bundle, digests, rows, bundle.dtype if fits else "float32"))
    return table.replace_schema_metadata(metadata(bundle, "segment"))
