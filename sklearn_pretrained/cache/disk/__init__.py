"""Rows on disk: one SQLite file, shared by threads, processes, runs and machines."""

from ._store import DiskStore

__all__ = ["DiskStore"]
