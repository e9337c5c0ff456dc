"""Rows on disk: one SQLite file, shared by threads, processes, runs and machines."""

from ._store import DiskStore, disk_store

__all__ = ["DiskStore", "disk_store"]
