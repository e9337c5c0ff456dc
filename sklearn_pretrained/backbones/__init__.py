"""A name, path or network → a frozen backbone with its own preprocessing."""

from ._backbone import Backbone, Sequences
from ._files import WEIGHTS_FILE, EmbeddedWeights, files_of
from ._find import find, find_image, find_text
from ._hooks_for_all import hooks_for_all, key_of_hooks
from ._list import BackboneTable, list_backbones
from ._skeleton import one_at_a_time
from ._sources import register_backbone
from ._weights import LocalFile, RandomWeights
from ._windows import Windows
from .images._mirrored import mirror_only, mirrored
from .own._module import ModuleHandle

__all__ = [
    "WEIGHTS_FILE",
    "Backbone",
    "BackboneTable",
    "EmbeddedWeights",
    "LocalFile",
    "ModuleHandle",
    "RandomWeights",
    "Sequences",
    "Windows",
    "files_of",
    "find",
    "find_image",
    "find_text",
    "hooks_for_all",
    "key_of_hooks",
    "list_backbones",
    "mirror_only",
    "mirrored",
    "one_at_a_time",
    "register_backbone",
]
