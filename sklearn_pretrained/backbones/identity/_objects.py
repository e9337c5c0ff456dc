"""An object → its class, its attributes and slots, and what C code keeps in it."""

from __future__ import annotations

import copyreg
import sys
import types
from typing import TYPE_CHECKING, Any

from ._functions import read_kind_of

if TYPE_CHECKING:
    from ._reader import Reader

_ITERATORS = slice(3, 5)  # where `__reduce_ex__` gives the items of lists and dictionaries


def read_own(reader: Reader, value: Any, base: type = object) -> None:
    """Say what an object has besides what one of a base class would have."""
    kind = type(value)
    reader.watch.owner(value)
    read_kind_of(reader, value)
    reader.fields("stored", getattr(value, "__dict__", {}))
    slots = _slots(kind)
    for slot in slots:
        reader.parts(f"slot {slot.__name__}", *reader.ask(_filled, slot, value))
    if _hides_something(kind, base, len(slots)):
        reader.watch.give_up()
        _read_pickled(reader, value)


def _read_pickled(reader: Reader, value: Any) -> None:
    """Say what a pickle would hold, of what lies out of Python's sight."""
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        made: Any = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        if not isinstance(made, str):
            items = [None if part is None else list(part) for part in made[_ITERATORS]]
            reader.parts("pickled", *made[: _ITERATORS.start], *items)
            return
    except RecursionError:
        raise
    except Exception:
        reader.say_untold(value)
        return
    module = getattr(value, "__module__", None) or type(value).__module__
    if getattr(sys.modules.get(module), made, None) is value:
        reader.say("named", module, made)
    else:
        reader.say_untold(value)


def _slots(kind: type) -> list[types.MemberDescriptorType]:
    """Find a class's slots, also those whose names Python mangles."""
    return [
        value
        for base in kind.__mro__
        if "__slots__" in vars(base)
        for value in vars(base).values()
        if isinstance(value, types.MemberDescriptorType)
    ]


def _filled(slot: types.MemberDescriptorType, value: Any) -> tuple[Any, ...]:
    try:
        return (slot.__get__(value),)
    except AttributeError:
        return ()


def _hides_something(kind: type, base: type, n_slots: int) -> bool:
    """Tell whether a class's objects hold more than those of a base, a dictionary and slots."""
    pointers = n_slots + sum(
        getattr(kind, offset) > 0 >= getattr(base, offset)
        for offset in ("__dictoffset__", "__weakrefoffset__")
    )
    more = kind.__basicsize__ - base.__basicsize__ - pointers * tuple.__itemsize__
    return more > 0 or kind.__itemsize__ != base.__itemsize__
