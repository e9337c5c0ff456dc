"""Names of torchvision's classifiers → backbones, and entries of the table of networks."""

from ._entries import entries
from ._networks import SHIPPED, backbone, names, suggest

__all__ = ["SHIPPED", "backbone", "entries", "names", "suggest"]
