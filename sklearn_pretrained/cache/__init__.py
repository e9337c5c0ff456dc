"""A ``cache`` parameter and digests → rows that are known, and who computes the others."""

from ._cache import FeatureCache, memory_cache, resolve_cache
from ._policy import Work

__all__ = ["FeatureCache", "Work", "memory_cache", "resolve_cache"]
