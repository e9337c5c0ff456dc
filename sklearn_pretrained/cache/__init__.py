"""A ``cache`` parameter and digests → rows that are known, and who computes the others."""

from ._cache import FeatureCache, memory_cache, resolve_cache
from ._policy import Cache, Work

__all__ = ["Cache", "FeatureCache", "Work", "memory_cache", "resolve_cache"]
