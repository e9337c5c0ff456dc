"""A folder or an address → the cache in it that machines share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from ..process import remembered
from ._lasting import LastingCache
from ._policy import RowCache
from .segments import SegmentStore
from .segments._address import is_address, locate
from .segments._files import Files


class SharedFeatureCache(LastingCache):
    """Features in a folder or an object store, shared by all machines that can access it.

    Each process writes its own files under unique names and renames them when they are complete.
    Files never change after that, so no locks or servers are needed, and the folder can be on a
    network mount. If two processes need the same row at the same time, both compute it; on one
    machine, `FeatureCache` divides the work between processes instead. Rows are written about
    every 10 seconds, and files of other processes are noticed after 5 seconds. A damaged file is
    skipped with a `CacheWarning` that names it. Requires the extra ``parquet``, and for an address
    the extra ``fsspec``.

    Parameters
    ----------
    folder : str or Path
        Path of the folder, which is created if needed. A ``~`` is expanded to your home folder.
        ``cache="features/"``, with the slash at the end, is short for
        ``cache=SharedFeatureCache("features")``. Or an address that fsspec opens, such as
        ``"s3://bucket/features"`` or ``"gs://bucket/features"``.

    See Also
    --------
    FeatureCache : Features in one file, for one machine.

    Examples
    --------
    >>> from sklearn_pretrained import SharedFeatureCache
    >>> cache = SharedFeatureCache("shared_features")
    >>> cache.stats()
    {'rows': 0, 'bytes': 0, 'files': 0, 'hits': 0, 'misses': 0, 'forwards': 0}
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not isinstance(folder, str | os.PathLike):
            raise TypeError(
                f"folder must be a str or a Path, got {type(folder).__name__} {folder!r}."
            )
        self.folder: Path | str
        if is_address(folder):
            self.folder = str(folder).rstrip("/")
            locate(self.folder)  # what is missing to reach it is told now
            return
        # Absolute, since a worker process may start in another folder.
        self.folder = Path(folder).expanduser().absolute()
        if self.folder.is_file():
            raise ValueError(
                f"{self.folder} is a file, but a SharedFeatureCache is a folder. For a cache in "
                "one file, pass FeatureCache(path)."
            )

    @property
    def _rows(self) -> RowCache:
        folder = self.folder
        return _of_folder(folder if isinstance(folder, str) else os.path.realpath(folder))

    @property
    def _store(self) -> SegmentStore:
        return cast(SegmentStore, self._rows.store)

    def stats(self) -> dict[str, int]:
        """Return the size of the cache and how often this process used it.

        Returns
        -------
        dict
            ``rows``, ``bytes`` and ``files`` in the folder and, of this process, requests for
            distinct rows that were known (``hits``) or not (``misses``), and rows passed through a
            network (``forwards``).
        """
        return self._store.stats()

    def verify(self) -> dict[str, int]:
        """Check all rows and rename damaged files, adding ``.damaged`` to their names.

        Returns
        -------
        dict
            Number of valid ``rows``, and of ``damaged`` files.
        """
        from .segments._compact import verify

        store = self._store
        found = verify(Files(store.location, store.damaged))
        store.refresh()
        return found

    def compact(self, rows_per_file: int = 65536) -> int:
        """Merge small files into larger ones, which are faster to open.

        Other processes can read and write meanwhile. A process that is killed loses no rows, and
        two that merge at the same time only waste work. Files written by `featurize` are not
        merged.

        Parameters
        ----------
        rows_per_file : int, default=65536
            Maximum number of rows in a merged file, which are at most 256 MiB.

        Returns
        -------
        int
            Decrease in the number of files.
        """
        from .segments._compact import compact

        store = self._store
        gone = compact(Files(store.location, store.damaged), rows_per_file)
        store.refresh()
        return gone

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedFeatureCache) and self.folder == other.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    def __repr__(self) -> str:
        return f"SharedFeatureCache({str(self.folder)!r})"


@remembered("folders of features in use", maxsize=16)
def _of_folder(folder: str) -> RowCache:
    """Return what all caches of one folder share in this process, whatever links lead to it."""
    return RowCache(SegmentStore(folder))
