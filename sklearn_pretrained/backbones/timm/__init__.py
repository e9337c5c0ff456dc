"""Names of timm's networks → backbones, and entries of the table of networks."""

from ._entries import entries
from ._files import names
from ._networks import backbone

__all__ = ["backbone", "entries", "names"]
