"""A network and a layer → what is left of the network from there, run from a cached activation."""

from ._tail import Tail
from ._watched import WatchedNetwork, tail_of

__all__ = ["Tail", "WatchedNetwork", "tail_of"]
