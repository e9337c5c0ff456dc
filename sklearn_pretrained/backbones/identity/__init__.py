"""Code, functions, objects, networks → what they are, told by all that could move a row."""

from ._identity import Identity, identity, owned

__all__ = ["Identity", "identity", "owned"]
