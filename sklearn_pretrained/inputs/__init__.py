"""X → items: what a featurizer reads, one at a time, with errors that name the row."""

from ._arrays import OutsideRangeError
from ._bad_items import BadItems
from ._images import keep_whole_numbers, read_images
from ._items import Items, Some
from ._rows import read_rows
from ._texts import read_texts

__all__ = [
    "BadItems",
    "Items",
    "OutsideRangeError",
    "Some",
    "keep_whole_numbers",
    "read_images",
    "read_rows",
    "read_texts",
]
