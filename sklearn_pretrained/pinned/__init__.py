"""What fit pinned → plain state in files, and checks that it still holds."""

from ._canary import Canary
from ._state import PinnedState

__all__ = ["Canary", "PinnedState"]
