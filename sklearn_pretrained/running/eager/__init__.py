"""Networks as torch runs them, kept in a registry of the process and made fast."""

from ._loaded import LoadedNetwork
from ._registry import again, load, unload
from ._runner import EagerRunner

__all__ = ["EagerRunner", "LoadedNetwork", "again", "load", "unload"]
