"""A name, path or network → a frozen backbone with its own preprocessing."""

from ._backbone import Backbone
from ._custom import ModuleHandle
from ._find import find, list_backbones
from ._registry import LoadedNetwork, load, unload

__all__ = ["Backbone", "LoadedNetwork", "ModuleHandle", "find", "list_backbones", "load", "unload"]
