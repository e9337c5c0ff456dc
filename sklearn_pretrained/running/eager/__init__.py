"""Networks as torch runs them, kept in a registry of the process and made fast."""

from ._loaded import LoadedNetwork
from ._registry import load, unload

__all__ = ["LoadedNetwork", "load", "unload"]
