"""A name, path or network → a frozen backbone with its own preprocessing."""

from ._backbone import Backbone, UnpackableError
from ._custom import ModuleHandle
from ._find import find, find_image, find_text, list_backbones
from ._mirrored import mirrored
from ._registry import LoadedNetwork, load, unload

__all__ = [
    "Backbone",
    "LoadedNetwork",
    "ModuleHandle",
    "UnpackableError",
    "find",
    "find_image",
    "find_text",
    "list_backbones",
    "load",
    "mirrored",
    "unload",
]
