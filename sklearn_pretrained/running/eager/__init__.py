"""Networks as torch runs them, kept in a registry of the process and made fast."""

from ._registry import LoadedNetwork, load, unload

__all__ = ["LoadedNetwork", "load", "unload"]
