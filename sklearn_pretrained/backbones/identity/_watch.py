"""What a reader looked at → whether any of it has changed since, in one pass over flat lists.

Rows of a network are asked for one by one, and to read the network anew each time would cost more
than a row. All that a reader sees is either fixed, such as a text, or comes out of something that
holds it: a dictionary, an attribute, a cell. Where each of these still holds the very same objects,
to read them all again would give the same words.
"""

from __future__ import annotations

import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from operator import attrgetter, is_
from typing import Any

_Look = Callable[..., tuple[Any, ...]]
_Answer = tuple[_Look, tuple[Any, ...], tuple[Any, ...]]
_VIEWED: tuple[Mapping[Any, Any], ...] = ({}, OrderedDict())
_COLLECTIONS = (
    *(list, set, frozenset),
    *(type(view) for held in _VIEWED for view in (held.keys(), held.values())),
)
_MAPPINGS = (dict, OrderedDict, types.MappingProxyType)
_code = attrgetter("__code__")
_dict = attrgetter("__dict__")
_mro = attrgetter("__mro__")
_module_of = attrgetter("__module__")
_qualname = attrgetter("__qualname__")
_find_module = sys.modules.get


class Watch:
    """Collects what a reader looks at, and tells later whether it is as it was.

    Parameters
    ----------
    root : object
        What is read; it is not held, so that it can be forgotten.
    """

    def __init__(self, root: Any) -> None:
        self._root, self._root_kind = id(root), type(root)
        self._root_held: Any = None
        self._met = 0
        self.is_complete = True
        self._empty: list[Collection[Any]] = []
        self._live: list[Collection[Any]] = []
        self._sizes: list[int] = []
        self._there: list[Any] = []
        # Each with its arguments and what it returned, in columns. Classes come first, since other
        # objects may not have what is asked of these.
        self._facts: dict[Callable[..., Any], list[list[Any]]] = {type: [[], []]}
        self._asked: dict[tuple[_Look, *tuple[int, ...]], _Answer] = {}
        self._met_before: dict[tuple[int, str], Any] = {}

    def give_up(self) -> None:
        """Learn of something whose changes do not show, such as the numbers of an array."""
        self.is_complete = False

    def meet(self, value: Any) -> None:
        """Learn that a value is read; a network that holds itself could not be forgotten."""
        if id(value) == self._root:
            self._met += 1
            self.is_complete &= self._met == 1
            self._root_held = getattr(value, "__dict__", None)

    def owner(self, value: Any) -> None:
        """Watch an object's class, and its attributes."""
        held = getattr(value, "__dict__", None)
        if held is not None:
            self.mapping(held)
        if id(value) == self._root:
            return
        self.fact(type, value)
        if held is not None:
            self.fact(_dict, value)

    def mapping(self, held: Mapping[Any, Any], *, names: bool = True) -> None:
        """Watch what is in a dictionary."""
        self.is_complete &= type(held) in _MAPPINGS  # others may say what they like
        if not held:
            self._empty.append(held)
            return
        if names:
            self.collection(_keys(held))
        self.collection(_values(held))

    def collection(self, values: Collection[Any]) -> None:
        """Watch what is in a list or a set, or in a view of a dictionary."""
        self.is_complete &= type(values) in _COLLECTIONS
        if not values:
            self._empty.append(values)
            return
        self._live.append(values)
        self._sizes.append(len(values))
        self._there += values

    def package_class(self, kind: type) -> None:
        """Watch what is in a class, and its functions' code: once, however often it is met."""
        if self._is_new(kind, "all"):
            self.mapping(vars(kind), names=False)
            held = (getattr(value, "__func__", value) for value in vars(kind).values())
            for function in held:
                if isinstance(function, types.FunctionType):
                    self.fact(_code, function)

    def bases(self, kind: type) -> None:
        """Watch the class of a class, and what it is derived from."""
        if self._is_new(kind, "bases"):
            self.fact(type, kind)
            self.fact(_mro, kind)

    def called(self, kind: type, module: types.ModuleType) -> None:
        """Watch that a class is called as it is, and that a module holds it under that name."""
        if self._is_new(kind, "called"):
            self.fact(_module_of, kind)
            self.fact(_qualname, kind)
            self.fact(dict.get, vars(module), kind.__qualname__)

    def module(self, name: str, module: types.ModuleType) -> None:
        """Watch that a module is the one of its name, and from which file."""
        if self._is_new(module, "module"):
            self.fact(type, module)
            self.fact(dict.get, vars(module), "__file__")
            self.fact(_find_module, name)

    def _is_new(self, value: Any, what: str) -> bool:
        is_new = (id(value), what) not in self._met_before
        self._met_before[id(value), what] = value
        return is_new

    def fact(self, look: Callable[..., Any], *args: Any) -> None:
        """Watch which object a function of C code returns; all that one returns is one look."""
        columns = self._facts.setdefault(look, [[] for _ in range(len(args) + 1)])
        for column, value in zip(columns, (*args, look(*args)), strict=True):
            column.append(value)

    def asked(self, look: _Look, args: tuple[Any, ...], found: tuple[Any, ...]) -> None:
        """Watch what a function returns; asked twice, it is watched once."""
        first = self._asked.setdefault((look, *map(id, args)), (look, args, found))
        self.is_complete &= _is_same(found, first[2])  # or it changed while it was read

    def is_still(self, root: Any) -> bool:
        """Tell whether all is as it was, of the object that was read."""
        return (
            self.is_complete
            and type(root) is self._root_kind
            and getattr(root, "__dict__", None) is self._root_held
            and not any(self._empty)
            and list(map(len, self._live)) == self._sizes
            # The very same objects: 0.0 equals -0.0, 1 equals True, and neither is the other.
            and all(map(is_, chain.from_iterable(self._live), self._there))
            and all(all(map(is_, map(look, *a), then)) for look, (*a, then) in self._facts.items())
            and all(_is_same(look(*args), found) for look, args, found in self._asked.values())
        )


def _keys(held: Mapping[Any, Any]) -> Any:
    return _kind(held).keys(held)


def _values(held: Mapping[Any, Any]) -> Any:
    return _kind(held).values(held)


def _kind(held: Mapping[Any, Any]) -> Any:
    """Find whose views tell what is there and in what order, whatever a class derived says."""
    return next((one for one in (OrderedDict, dict) if isinstance(held, one)), type(held))


def _is_same(now: tuple[Any, ...], then: tuple[Any, ...]) -> bool:
    return len(now) == len(then) and all(map(is_, now, then))
