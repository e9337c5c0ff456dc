"""A network and a layer → what is left of the network from there, run from a cached activation."""

from ._find import tail_of
from ._tail import Tail
from ._watched import WatchedNetwork

__all__ = ["Tail", "WatchedNetwork", "tail_of"]
