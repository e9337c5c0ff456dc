"""An encoder of transformers → the same one over a row of texts without padding."""

from ._packing import Packing, find_packing
from ._padding import padding_shows
from ._segments import UnpackableError, packed

__all__ = ["Packing", "UnpackableError", "find_packing", "packed", "padding_shows"]
