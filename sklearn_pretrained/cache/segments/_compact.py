"""Many small files of a folder → few large ones, while others read and write."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...recipe import Bundle
from ._files import DamagedError, Files, Segment
from ._format import GROUP, checksums, to_table, unique_name, writing

# Rows that are merged are in memory.
_MOST_BYTES = 256 << 20


def compact(files: Files, rows_per_file: int) -> int:
    """Merge files that are smaller than they could be; return how many went.

    A file goes when another one that holds its rows is whole, so whoever is killed loses nothing,
    and two who merge at once waste work. A reader that meets a file which is gone looks for the one
    that has its rows now.
    """
    files.refresh()
    small: dict[Bundle, list[int]] = {}
    for number, segment in files.segments.items():
        if segment.kind == "segment" and segment.n_rows < _most(segment.bundle, rows_per_file):
            small.setdefault(segment.bundle, []).append(number)
    gone = sum(
        _merge(files, bundle, numbers, _most(bundle, rows_per_file))
        for bundle, numbers in small.items()
    )
    files.location.sweep()
    files.refresh()
    return gone


def _most(bundle: Bundle, rows_per_file: int) -> int:
    return min(rows_per_file, max(GROUP, _MOST_BYTES // (4 * bundle.width)))


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
            files.location.put(unique_name(), writing(table))
            for segment in whole:
                files.location.remove(segment.name)
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
    right, damaged = 0, set(files.unreadable)
    for number, segment in list(files.segments.items()):
        try:
            right += sum(1 for _ in rows_of(files, number))
        except FileNotFoundError:
            continue
        except DamagedError:
            damaged.add(segment.name)
    for name in damaged:
        files.location.rename(name, f"{name}.damaged")
    files.refresh()
    return {"rows": right, "damaged": len(damaged)}
