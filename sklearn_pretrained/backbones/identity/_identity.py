"""A value → what it is, told by its code and all that it holds, the same in every process.

Rows are known by it, so two callables or networks that could give different rows must never share
it. What cannot be looked into is unlike all else, and known in no other process: that costs rows
that were known, and never gives a wrong one.
"""

from __future__ import annotations

import hashlib
import types
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ._kinds import KINDS, WHOLE
from ._origin import version
from ._past import Called
from ._reader import Reader
from ._watch import Watch


@dataclass(frozen=True)
class Identity:
    """What a value is.

    Parameters
    ----------
    told : str
        Digest of all that can be told.
    own : str, default=""
        Where that is not all: what no other object has.
    packages : dict of str to str
        Versions of the packages whose code it runs.
    because : str, default=""
        What cannot be told.
    """

    told: str
    own: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    because: str = ""

    @property
    def key(self) -> str:
        """Name the value, so that none that may differ has the same name."""
        return f"{self.told}+{self.own}" if self.own else self.told


def identity(
    value: Any,
    *,
    apart: Mapping[int, str] = types.MappingProxyType({}),
    watch: Watch | None = None,
) -> Identity:
    """Look at a value: code, attributes, what functions have captured and read, arrays, hooks.

    Parameters
    ----------
    value : object
    apart : dict of int to str
        Tensors whose numbers are told in another way, by their ``id``, and their names.
    watch : Watch or None, default=None
        Told of all that is looked at.
    """
    hasher = hashlib.sha256()
    reader = Reader(hasher.update, KINDS, WHOLE, apart, watch=watch)
    try:
        reader.read(value)
        last = _look_again(value, apart) if reader.untold or reader.untold_by_all else reader
    except RecursionError:
        return Identity("deep", _token(value), because="a structure too deep to follow")
    untold = [*last.untold, *last.untold_by_all]
    owners = [*last.untold, *([value] if last.untold_by_all else [])]
    own = "+".join(dict.fromkeys(map(_token, owners)))
    packages = {name: version(name) for name in sorted(reader.packages)}
    because = f"{type(untold[0]).__name__} {getattr(untold[0], '__qualname__', '')}" if own else ""
    return Identity(hasher.hexdigest(), own, packages, because.strip())


def _look_again(value: Any, apart: Mapping[int, str]) -> Reader:
    """Pass over code that has run for good, so that what is untold decides rows to come."""
    before = Called()
    while True:
        reader = Reader(lambda _: None, KINDS, WHOLE, apart, before)
        reader.read(value)
        if not before.adds(reader.called):
            return reader


def owned(found: Identity, owner: Any) -> Identity:
    """Let what cannot be told of a value be told by who made it: the same for all that it makes."""
    return replace(found, own=_token(owner)) if found.own else found


_tokens: dict[int, tuple[Callable[[], Any], str]] = {}
_held: OrderedDict[int, tuple[Any, str]] = OrderedDict()
_MOST_HELD = 256


def _token(value: Any) -> str:
    """Return a word that no other object gets while this one lives."""
    key = id(value)
    if key in _tokens and _tokens[key][0]() is value:
        return _tokens[key][1]
    if key in _held:
        return _held[key][1]
    word = uuid.uuid4().hex
    try:
        _tokens[key] = weakref.ref(value, lambda _: _tokens.pop(key, None)), word
    except TypeError:  # it is held for a while, so that its address is not used again
        _held[key] = value, word
        if len(_held) > _MOST_HELD:
            _held.popitem(last=False)
    return word
