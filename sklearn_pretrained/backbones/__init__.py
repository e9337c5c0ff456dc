"""A name, path or network → a frozen backbone with its own preprocessing."""

from ._backbone import Backbone, UnpackableError
from ._custom import ModuleHandle
from ._find import find, find_image, find_text
from ._list import BackboneTable, list_backbones
from ._registry import LoadedNetwork, load, unload
from ._sources import register_backbone

__all__ = [
    "Backbone",
    "BackboneTable",
    "LoadedNetwork",
    "ModuleHandle",
    "UnpackableError",
    "find",
    "find_image",
    "find_text",
    "list_backbones",
    "load",
    "register_backbone",
    "unload",
]
