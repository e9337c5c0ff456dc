"""Rows with their keys ↔ files of a folder, and the list of those that are finished."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cache.segments import SegmentStore
from ..cache.segments._format import (
    CHECKSUM,
    DIGEST,
    SUFFIX,
    arrow,
    columns,
    head_of,
    metadata,
    writing,
)
from ..cache.segments._location import Folder
from ..recipe import Bundle

FORMAT = 1
ERROR = "item_error"
MANIFEST = "manifest.json"
KIND = "part"
OURS = (DIGEST, CHECKSUM, ERROR)


def part_name(number: int, bundle: Bundle, carried: Any, digests: Sequence[bytes | None]) -> str:
    """Name a part by its place and all that decides what is in it."""
    said = hashlib.sha256(f"{bundle.recipe}\n{json.dumps(bundle.outputs)}\n".encode())
    said.update(carried.schema.remove_metadata().to_string().encode())
    said.update(json.dumps(carried.to_pydict(), default=str).encode())
    for digest in digests:
        said.update(digest or b"\0" * 32)
    return f"part-{number:06d}-{said.hexdigest()[:16]}{SUFFIX}"


def write_part(
    path: Path,
    bundle: Bundle,
    carried: Any,
    digests: Sequence[bytes | None],
    rows: NDArray[np.float32],
    *,
    errors: Mapping[int, str],
    dtype: str,
    facts: Mapping[str, Any],
) -> None:
    """Write one part: what is carried along, what could not be read, and the rows."""
    pa, _ = arrow()
    there = [None if k in errors else digest for k, digest in enumerate(digests)]
    table = carried
    found = columns(bundle, there, rows, dtype)
    found[ERROR] = pa.array([errors.get(k) for k in range(len(rows))], pa.string())
    for name in (*(name for name, _ in bundle.outputs), ERROR, DIGEST, CHECKSUM):
        if name in table.column_names:
            raise ValueError(
                f"The source has a column {name!r}, which is the name of a column of features. "
                "Rename it."
            )
        table = table.append_column(name, found[name])
    whole = table.replace_schema_metadata(metadata(bundle, KIND, facts))
    Folder(path.parent).put(path.name, writing(whole))


def check_folder(folder: Path, bundle: Bundle) -> None:
    """Refuse a folder that holds other features: nothing of them would be removed silently."""
    _, parquet = arrow()
    for path in sorted(folder.glob(f"part-*{SUFFIX}")):
        with contextlib.suppress(Exception):  # a damaged one is written anew
            head = head_of(parquet.read_schema(path))
            if head is not None and head.bundle != bundle:
                break
    else:
        return
    raise ValueError(
        f"{folder} holds other features: {', '.join(name for name, _ in head.bundle.outputs)} of "
        f"the recipe {head.bundle.recipe[:12]}; {', '.join(n for n, _ in bundle.outputs)} of "
        f"{bundle.recipe[:12]} were requested. Choose another folder, or delete this one."
    )


def forget_journal(
    store: SegmentStore,
    bundle: Bundle,
    digests: Sequence[bytes | None],
    left: dict[str, set[bytes | None]],
) -> None:
    """Remove the segments whose rows are all in parts by now.

    Parameters
    ----------
    store : SegmentStore
    bundle : Bundle
    digests : sequence of bytes or None
        What one more part holds.
    left : dict
        Of each segment that earlier parts hold some rows of, the others: a merged one may have
        rows of several parts. It is updated.
    """
    there = set(digests)
    store.refresh()
    for number, segment in list(store.files.segments.items()):
        if segment.kind == "segment" and segment.bundle == bundle:
            with contextlib.suppress(Exception):  # a damaged one stays, and is named when read
                held = left.get(segment.name) or set(store.files.digests(number))
                others = held - there
                if not others:
                    store.location.remove(segment.name)
                elif len(others) < len(held):
                    left[segment.name] = others
    store.refresh()


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """List what is finished, and remove parts that are not of it."""
    place = folder / MANIFEST
    temporary = folder / f".{MANIFEST}.{secrets.token_hex(8)}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **facts}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(place)
    named = {part["name"] for part in facts["parts"]}
    for path in folder.glob(f"part-*{SUFFIX}"):
        if path.name not in named:
            path.unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the list of what is finished."""
    place = folder / MANIFEST
    if not place.exists():
        parts = len([*folder.glob(f"part-*{SUFFIX}")])
        if parts:
            raise FileNotFoundError(
                f"{folder} has no {MANIFEST}: featurize has not finished ({parts} files so far). "
                "Call it again with the same source, and it continues."
            )
        raise FileNotFoundError(f"{folder} holds no features: there is no {MANIFEST} in it.")
    try:
        facts = dict(json.loads(place.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise OSError(
            f"{place} is damaged ({error}). Call featurize again to rewrite it."
        ) from error
    if facts.get("format") != FORMAT:
        raise ValueError(
            f"{place} has the format {facts.get('format')}, and this version of "
            f"sklearn-pretrained reads {FORMAT}. Update sklearn-pretrained."
        )
    return facts
