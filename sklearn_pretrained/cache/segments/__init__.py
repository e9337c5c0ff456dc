"""A folder of immutable files → rows that machines share, without a lock or a server."""

from ._store import SegmentStore

__all__ = ["SegmentStore"]
