"""Many small files of a folder → few large ones, while others read and write."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import numpy as np

from ..._recipe import Bundle
from ._files import DamagedError, Files, Segment
from ._format import GROUP, checksums, to_table, unique_name, write

# What no living process can still be writing, in seconds.
_OLD = 24 * 3600


def compact(files: Files, rows_per_file: int) -> int:
    """Merge files that are smaller than they could be; return how many went.

    A reader that meets a file which is gone looks for the one that has its rows now.
    """
    files.refresh()
    small: dict[Bundle, list[int]] = {}
    for number, segment in files.segments.items():
        if segment.kind == "segment" and segment.n_rows < rows_per_file:
            small.setdefault(segment.bundle, []).append(number)
    gone = sum(_merge(files, bundle, numbers, rows_per_file) for bundle, numbers in small.items())
    _sweep(files)
    files.refresh()
    return gone


def _merge(files: Files, bundle: Bundle, numbers: list[int], rows_per_file: int) -> int:
    gone = 0
    for together in _portions(files, numbers, rows_per_file):
        rows: dict[bytes, np.ndarray] = {}
        whole: list[Segment] = []
        for number in together:
            try:
                for digest, row in rows_of(files, number):
                    rows.setdefault(digest, row)
            except (DamagedError, OSError):
                continue  # it stays, and is named when it is read
            whole.append(files.segments[number])
        if len(whole) > 1:
            table = to_table(bundle, list(rows), np.stack(list(rows.values())))
            write(table, files.folder / unique_name())
            for segment in whole:
                with contextlib.suppress(FileNotFoundError):
                    segment.path.unlink()
            gone += len(whole) - 1
    return gone


def _portions(files: Files, numbers: list[int], rows_per_file: int) -> Iterator[list[int]]:
    together: list[int] = []
    n = 0
    for number in numbers:
        if together and n + files.segments[number].n_rows > rows_per_file:
            yield together
            together, n = [], 0
        together.append(number)
        n += files.segments[number].n_rows
    yield together


def rows_of(files: Files, number: int) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yield the digests and rows of a file; a damaged one is an error."""
    segment = files.segments[number]
    for group in range(-(-segment.n_rows // GROUP)):
        digests, sums, values = files.read(number, group)
        known = [k for k, digest in enumerate(digests) if digest is not None]
        right = checksums(segment.bundle, [digests[k] for k in known], values[known])
        if (right != sums[known]).any():
            raise DamagedError("a row does not match its checksum")
        for k in known:
            yield digests[k], values[k]


def verify(files: Files) -> dict[str, int]:
    """Read every row; give damaged files another name, under which nobody looks at them."""
    files.refresh()
    right, damaged = 0, 0
    for number, segment in list(files.segments.items()):
        try:
            right += sum(1 for _ in rows_of(files, number))
        except FileNotFoundError:
            continue
        except DamagedError:
            damaged += 1
            segment.path.replace(segment.path.with_name(f"{segment.path.name}.damaged"))
    files.refresh()
    return {"rows": right, "damaged": damaged}


def _sweep(files: Files) -> None:
    """Remove what killed processes left half written."""
    for left in files.folder.glob("**/.*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _OLD:
                left.unlink()
