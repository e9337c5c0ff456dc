"""What code can still be called → the functions of an object's class that have run for good.

What a constructor did is in the object that it made: the files that it read have become attributes.
So it says nothing of what the object will read, and neither does a method that nothing calls by
its name, such as the one that made the object out of a file.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import Any

from ._code import Reach
from ._origin import is_packages_class

_CONSTRUCTORS = {"__init__", "__new__", "__post_init__"}
_METHODS = (types.FunctionType, classmethod, staticmethod)
_OF_ANY_CLASS = {"type", "__class__"}


@dataclass
class Called:
    """What the code that was read so far may call.

    Parameters
    ----------
    names : set of str
        Methods, by name.
    classes : set of type
        Classes that are there to make objects, and their bases.
    makes_its_like : bool
        Whether an object may make others of its class.
    """

    names: set[str] = field(default_factory=set)
    classes: set[type] = field(default_factory=set)
    makes_its_like: bool = False

    def adds(self, more: Called) -> bool:
        """Take over what more is called, and tell whether there was any."""
        then = len(self.names), len(self.classes), self.makes_its_like
        self.names |= more.names
        self.classes |= more.classes
        self.makes_its_like |= more.makes_its_like
        return then != (len(self.names), len(self.classes), self.makes_its_like)

    def note_code(self, reads: Reach) -> None:
        """Note what code asks for."""
        self.names |= reads.attributes
        self.makes_its_like |= reads.asks_by_name or not _OF_ANY_CLASS.isdisjoint(
            {*reads.attributes, *reads.names}
        )

    def note_class(self, kind: type) -> None:
        """Note a class that is not met as that of an object."""
        self.classes.update(kind.__mro__)

    def lets_rest(self, kind: type, name: str, value: Any) -> bool:
        """Tell a part of a class that is called no more."""
        if self.makes_its_like or kind in self.classes:
            return False
        if name in _CONSTRUCTORS:
            return name not in self.names
        return (
            isinstance(value, _METHODS)
            and not name.startswith("__")
            and name not in self.names
            and not any(hasattr(b, name) for b in kind.__mro__ if is_packages_class(b))
        )
