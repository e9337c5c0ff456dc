"""Code, functions, objects, networks → what they are, told by all that could move a row."""

from ._identity import Identity, identity, owned
from ._watch import Watch

__all__ = ["Identity", "Watch", "identity", "owned"]
