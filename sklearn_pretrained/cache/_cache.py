"""A ``cache`` parameter → a cache: of this process, on disk, or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from ..exceptions import CacheWarning
from ..process import remembered, warn
from ._lasting import LastingCache
from ._memory import MemoryStore, default_memory
from ._mounts import network_mount
from ._nowhere import NoStore
from ._policy import Cache, RowCache
from ._shared import SharedFeatureCache
from .disk import DiskStore
from .segments._address import is_address
from .segments._format import SUFFIX

NOWHERE = RowCache(NoStore(), keeps=False)
"""The cache that knows nothing."""
# A file of a few pages: less would hold no rows.
_LEAST = 1 << 20


class FeatureCache(LastingCache):
    """Features on disk, shared by the processes and runs of one machine.

    Each distinct item goes through a network once for all users of the file: processes claim the
    rows that they compute, wait for rows that others compute, and take over from a process that
    died or stopped. Stored rows survive a killed process. A damaged row is detected by its
    checksum and computed again. Faults, such as a full disk, give a `CacheWarning`, never an
    error.

    The file is opened on first use. It is a SQLite database that holds numbers, not pickles. Its
    locks are not reliable on network mounts, so a path on one gives a `CacheWarning`. To share
    features between machines, use `SharedFeatureCache`.

    Parameters
    ----------
    path : str or Path
        Path of the file, which is created with its parent folders if needed, or an existing
        folder, in which the file is called ``features.sqlite``. A ``~`` is expanded to your home
        folder. Next to the file there are a journal and a folder, ``<path>-owners``, which tells
        processes that others are alive.
    max_size : int, default=None
        Maximum size of the file in bytes, at least 1 MiB. When it is reached, the least recently
        used rows are removed. None means no limit.

    See Also
    --------
    SharedFeatureCache : Features in a folder, for several machines.
    sklearn_pretrained.PretrainedImageFeaturizer : Accepts it as its parameter ``cache``.

    Examples
    --------
    >>> from sklearn_pretrained import FeatureCache
    >>> cache = FeatureCache("features.sqlite", max_size=10 * 2**30)
    >>> cache.stats()
    {'rows': 0, 'bytes': 0, 'hits': 0, 'misses': 0, 'forwards': 0}
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    def __init__(self, path: str | os.PathLike[str], max_size: int | None = None) -> None:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path must be a str or a Path, got {type(path).__name__} {path!r}.")
        if is_address(path):
            raise ValueError(
                f"{path!r} is an address, and a FeatureCache is a file on this machine. Pass "
                "SharedFeatureCache(address)."
            )
        if max_size is not None and max_size < _LEAST:
            raise ValueError(
                f"max_size={max_size!r} is too small: pass at least {_LEAST} bytes (1 MiB), or "
                "None for no limit."
            )
        # Absolute, since a worker process may start in another folder.
        self.path = Path(path).expanduser().absolute()
        if os.path.isdir(self.path):  # noqa: PTH112  Path.is_dir raises where a folder is closed
            self.path /= "features.sqlite"
        self.max_size = max_size

    @property
    def _rows(self) -> RowCache:
        return _of_file(os.path.realpath(self.path), self.max_size)

    @property
    def _store(self) -> DiskStore:
        return cast(DiskStore, self._rows.store)

    def stats(self) -> dict[str, int]:
        """Return the size of the cache and how often it was used.

        Returns
        -------
        dict
            ``rows`` and ``bytes`` in the file and, over all processes since it was created,
            requests for distinct rows that were known (``hits``) or not (``misses``), and rows
            passed through a network (``forwards``). Hits counted by other processes in the last
            second may be missing.
        """
        return self._store.stats()

    def verify(self) -> dict[str, int]:
        """Check all rows and remove those that are damaged.

        A file whose structure is damaged is renamed and kept.

        Returns
        -------
        dict
            Number of valid ``rows``, and of ``damaged`` ones that were removed.
        """
        return self._store.verify()

    def prune(self, max_size: int | None = None) -> int:
        """Remove the least recently used rows and shrink the file.

        Parameters
        ----------
        max_size : int, default=None
            Target size in bytes. None uses the cache's own ``max_size``.

        Returns
        -------
        int
            Number of rows removed.
        """
        limit = self.max_size if max_size is None else max_size
        if limit is None:
            raise ValueError(
                "This cache has no max_size. Pass one, e.g. prune(max_size=10 * 2**30)."
            )
        return self._store.prune(limit)

    def clear(self) -> None:
        """Remove all rows and statistics; the file stays."""
        self._store.clear()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FeatureCache) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        limit = "" if self.max_size is None else f", max_size={self.max_size}"
        return f"FeatureCache({str(self.path)!r}{limit})"


class MemoryCache(RowCache):
    """Features in memory, shared by all featurizers of a process; `memory_cache` returns it."""

    store: MemoryStore

    def __init__(self, max_size: int) -> None:
        super().__init__(MemoryStore(max_size))

    def stats(self) -> dict[str, int]:
        """Return the size of the cache and how often it was used.

        Returns
        -------
        dict
            ``rows`` and ``bytes`` in memory and, since the process started, requests for distinct
            rows that were known (``hits``) or not (``misses``), and rows passed through a network
            (``forwards``).
        """
        return {"rows": len(self.store), "bytes": self.store.n_bytes, **self.store.counts}

    def clear(self) -> None:
        """Remove all rows."""
        self.store.clear()

    def __repr__(self) -> str:
        return f"MemoryCache(max_size={self.store.max_bytes})"


@remembered("the cache in memory itself")
def memory_cache() -> MemoryCache:
    """Return the cache shared by all featurizers with ``cache="memory"``.

    Its size is limited to a quarter of the machine's memory and at most 4 GiB, or to the number of
    bytes in the environment variable ``SKLEARN_PRETRAINED_MEMORY_CACHE``. The least recently used
    rows are removed first.

    Returns
    -------
    MemoryCache
        The cache, with the methods ``stats`` and ``clear``.

    Examples
    --------
    >>> from sklearn_pretrained import memory_cache
    >>> memory_cache().clear()
    >>> memory_cache().stats()["rows"]
    0
    """
    return MemoryCache(default_memory())


@remembered("cache files in use", maxsize=16)
def _of_file(path: str, max_size: int | None) -> RowCache:
    """Return what all caches of one file share in this process, whatever links lead to it."""
    kind = network_mount(Path(path))
    if kind is not None:
        warn(
            f"The cache file {path} lies on a network mount ({kind}), where the locks that keep a "
            "SQLite file whole are not reliable. Several machines can share a folder: "
            "cache='features/' or SharedFeatureCache; for one machine, use a path on its own disk.",
            CacheWarning,
        )
    return RowCache(DiskStore(Path(path), max_size))


def resolve_cache(cache: Any, *, in_files: bool = True) -> Cache:
    """Turn a ``cache`` parameter into a cache.

    Where rows may not be kept ``in_files``, they are kept in memory.
    """
    if cache is None:
        return NOWHERE
    if isinstance(cache, str) and cache == "memory":
        return memory_cache()
    if not in_files and not isinstance(cache, MemoryCache):
        return memory_cache()
    if isinstance(cache, str | os.PathLike):
        return SharedFeatureCache(cache) if _is_shared(cache) else FeatureCache(cache)
    if hasattr(cache, "fetch"):
        return cache
    raise TypeError(
        "cache must be 'memory', None, the path of a file or a FeatureCache, or a folder "
        "('features/'), an address ('s3://…') or a SharedFeatureCache, got "
        f"{type(cache).__name__} {cache!r}."
    )


def _is_shared(path: str | os.PathLike[str]) -> bool:
    """Tell what machines share: an address, or a folder by its slash or by what lies in it."""
    if is_address(path):
        return True
    if os.fspath(path).endswith(("/", os.sep)):
        return True
    folder = Path(path).expanduser()
    return any(folder.glob(f"*{SUFFIX}")) and not (folder / "features.sqlite").exists()
