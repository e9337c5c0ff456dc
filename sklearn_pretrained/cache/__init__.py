"""A ``cache`` parameter and digests → rows that are known, and who computes the others."""

from ._cache import NOWHERE, FeatureCache, MemoryCache, memory_cache, resolve_cache
from ._policy import Cache
from ._request import Request, Work
from ._shared import SharedFeatureCache
from ._workers import hint_at_files

__all__ = [
    "NOWHERE",
    "Cache",
    "FeatureCache",
    "MemoryCache",
    "Request",
    "SharedFeatureCache",
    "Work",
    "hint_at_files",
    "memory_cache",
    "resolve_cache",
]
