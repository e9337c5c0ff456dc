"""What fit pinned → plain state in files, and checks that it still holds."""

from ._state import PinnedState

__all__ = ["PinnedState"]
