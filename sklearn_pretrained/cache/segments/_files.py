"""The files of a folder → which bundles they hold, where each row is, and the rows themselves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...recipe import Bundle
from ._format import CHECKSUM, DIGEST, GROUP, SUFFIX, Rows, arrow, checksums, head_of, matrix
from ._index import Index
from ._location import Location, UnreachableError

# Bytes of rows that were read and may be asked for again.
_HELD = 256 << 20


class DamagedError(Exception):
    """What a file holds is not what was written."""


@dataclass(frozen=True)
class Segment:
    """One file.

    Parameters
    ----------
    name : str
    bundle : Bundle
    kind : str
    n_rows : int
    """

    name: str
    bundle: Bundle
    kind: str
    n_rows: int


class Files:
    """What is known of a folder: looked through once, and then only for what came or went.

    Parameters
    ----------
    location : Location
    on_damage : callable
        Told the name of a file that is damaged, and why.
    """

    def __init__(self, location: Location, on_damage: Callable[[str, str], None]) -> None:
        self.location, self._on_damage = location, on_damage
        self.segments: dict[int, Segment] = {}
        self.unreadable: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._next = 0
        self._unread: dict[Bundle, list[int]] = {}
        self._indexes: dict[Bundle, Index] = {}
        self._groups: OrderedDict[tuple[int, int], tuple[list[Any], Any, Rows]] = OrderedDict()
        self._held = 0

    def refresh(self) -> None:
        """Look which files came and went."""
        names = self.location.names(SUFFIX)
        for name in self._numbers.keys() - names:
            self.unreadable.discard(name)
            self._forget(self._numbers.pop(name))
        for name in sorted(names - self._numbers.keys()):
            self.meet(name)

    def meet(self, name: str) -> None:
        """Read what a file that came says of itself."""
        number, self._next = self._next, self._next + 1
        try:
            with self._opened(name) as file:
                head, n_rows = head_of(file.schema_arrow), file.metadata.num_rows
        except FileNotFoundError:
            return
        except DamagedError as error:
            head = None
            self.unreadable.add(name)
            self._on_damage(name, str(error))
        self._numbers[name] = number
        if head is not None:
            self.segments[number] = Segment(name, head.bundle, head.kind, n_rows)
            self._unread.setdefault(head.bundle, []).append(number)

    @contextmanager
    def _opened(self, name: str, **options: Any) -> Iterator[Any]:
        """Open a file; whatever pyarrow says of damage becomes one error."""
        _, parquet = arrow()
        try:
            with (
                self.location.opened(name) as place,
                parquet.ParquetFile(place, **options) as file,
            ):
                yield file
        except (DamagedError, FileNotFoundError, UnreachableError):
            raise
        except Exception as error:  # pyarrow raises what it likes on damaged files
            raise DamagedError(_said(error)) from error

    def _forget(self, number: int) -> None:
        segment = self.segments.pop(number, None)
        if segment is None:
            return
        if number in self._unread.get(segment.bundle, ()):
            self._unread[segment.bundle].remove(number)
        elif segment.bundle in self._indexes:
            self._indexes[segment.bundle].drop(number)
        for key in [key for key in self._groups if key[0] == number]:
            self._held -= self._groups.pop(key)[2].nbytes

    def bundles(self, recipe: str) -> list[Bundle]:
        """List the bundles of a recipe, the newest first."""
        found = dict.fromkeys(
            segment.bundle
            for segment in reversed(self.segments.values())
            if segment.bundle.recipe == recipe
        )
        return list(found)

    def index(self, bundle: Bundle) -> Index:
        """Return where the rows of a bundle lie."""
        index = self._indexes.setdefault(bundle, Index())
        unread = self._unread.get(bundle, [])
        while unread:
            number = unread[0]
            try:
                index.add(number, self.digests(number))
                unread.remove(number)
            except (DamagedError, FileNotFoundError) as error:
                self._give_up(number, error)
        return index

    def digests(self, number: int) -> list[bytes | None]:
        """Read the digests of a file."""
        name = self.segments[number].name
        with self._opened(name, page_checksum_verification=True) as file:
            return file.read([DIGEST], use_threads=False).column(0).to_pylist()

    def get(self, bundle: Bundle, digests: Sequence[bytes]) -> list[Rows | None]:
        """Return the rows, None for each that is not there, or no longer what was stored."""
        found: list[Rows | None] = [None] * len(digests)
        files, rows = self.index(bundle).find(digests)
        wanted: dict[tuple[int, int], list[int]] = {}
        for place in np.flatnonzero(files >= 0).tolist():
            group = int(rows[place]) // GROUP
            wanted.setdefault((int(files[place]), group), []).append(place)
        gone: set[int] = set()
        for (number, group), places in sorted(wanted.items()):
            if number in gone:
                continue
            try:
                for i, row in self._rows(number, group, places, digests, rows):
                    found[i] = row
            except (DamagedError, FileNotFoundError) as error:
                gone.add(number)
                self._give_up(number, error)
        if gone:  # another file may hold them too
            missing = [i for i, row in enumerate(found) if row is None and files[i] in gone]
            again = self.get(bundle, [digests[i] for i in missing])
            for i, other in zip(missing, again, strict=True):
                found[i] = other
        return found

    def _rows(
        self, number: int, group: int, places: list[int], digests: Sequence[bytes], rows: Any
    ) -> Iterator[tuple[int, Rows]]:
        there, sums, values = self._group(number, group)
        offsets = [int(rows[i]) % GROUP for i in places]
        if max(offsets) >= len(there):
            raise DamagedError("it is shorter than it was")
        same = [(i, k) for i, k in zip(places, offsets, strict=True) if there[k] == digests[i]]
        taken = [k for _, k in same]
        right = checksums(self.segments[number].bundle, [there[k] for k in taken], values[taken])
        if (right != sums[taken]).any():
            raise DamagedError("a row does not match its checksum")
        for i, k in same:
            yield i, values[k]

    def _group(self, number: int, group: int) -> tuple[list[Any], Any, Rows]:
        key = (number, group)
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        read = self.read(number, group)
        self._groups[key] = read
        self._held += read[2].nbytes
        while self._held > _HELD and len(self._groups) > 1:
            self._held -= self._groups.popitem(last=False)[1][2].nbytes
        return read

    def read(self, number: int, group: int) -> tuple[list[Any], Any, Rows]:
        """Read digests, checksums and rows of one group of a file."""
        segment = self.segments[number]
        names = [name for name, _ in segment.bundle.outputs]
        with self._opened(segment.name, pre_buffer=True) as file:
            table = file.read_row_group(group, [DIGEST, CHECKSUM, *names], use_threads=False)
            sums = table.column(CHECKSUM).fill_null(0).to_numpy()
            values = matrix(table, names)
            if values.shape[1] != segment.bundle.width:
                raise DamagedError("its columns have other widths than it says")
            return table.column(DIGEST).to_pylist(), sums, values

    def _give_up(self, number: int, error: Exception) -> None:
        if isinstance(error, DamagedError):
            self._on_damage(self.segments[number].name, str(error))
        self._forget(number)


def _said(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
