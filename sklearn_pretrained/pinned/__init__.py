"""What fit pinned → plain state in files, and checks that it still holds."""

from ._canary import Canary
from ._provenance import Provenance, versions
from ._settled import Way, settled
from ._standing import State
from ._state import PinnedState
from ._upgrades import name_in

__all__ = ["Canary", "PinnedState", "Provenance", "State", "Way", "name_in", "settled", "versions"]
