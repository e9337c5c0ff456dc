"""What decides a row, in strings and numbers: its fingerprint, precisions, names of poolings."""

from ._pooling_names import Pooling, parsed
from ._precisions import PRECISIONS, Precision, precision_of
from ._recipe import RECIPE_VERSION, Bundle, fingerprint, recipe_as

__all__ = [
    "PRECISIONS",
    "RECIPE_VERSION",
    "Bundle",
    "Pooling",
    "Precision",
    "fingerprint",
    "parsed",
    "precision_of",
    "recipe_as",
]
