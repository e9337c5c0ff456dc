"""A value → the words that say what it is made of, part by part; each kind has its own reader."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ._origin import top
from ._past import Called
from ._watch import Watch

Read = Callable[..., None]
# Values that say all by being printed. Whether a constant is one object or two makes no odds.
_PLAIN = (str, int, float, complex, bool, bytes, types.NoneType, types.EllipsisType)
_CONSTANT = (tuple, frozenset)


class Reader:
    """Says what values are made of, to a hash.

    Parameters
    ----------
    write : callable
        Takes bytes.
    kinds : dict of type to callable
        What reads a value of a class, or of one derived from it.
    whole : collection of type
        Those whose reader says what an object of a derived class has of its own, too.
    apart : dict of int to str
        Tensors whose numbers are told in another way, by their ``id``.
    before : Called or None, default=None
        What an earlier look at the same value found to be called; code that is not is left out.
    watch : Watch or None, default=None
        Told of all that is looked at.

    Attributes
    ----------
    untold : list
        What could not be looked into.
    untold_by_all : list
        What anybody may use and nobody can look into, such as a package's function.
    packages : set of str
        Packages whose code was met.
    members : set of (int, str)
        What was said of modules: the ``id`` of one, and a name in it.
    called : Called
        What the code that was met may call.
    """

    def __init__(
        self,
        write: Callable[[Any], Any],
        kinds: Mapping[type, Read],
        whole: Collection[type],
        apart: Mapping[int, str],
        before: Called | None = None,
        *,
        watch: Watch | None = None,
    ) -> None:
        self.write, self.before, self.called = write, before, Called()
        self.watch = watch or Watch(None)
        self._kinds, self._whole, self.apart = kinds, whole, apart
        self._seen: dict[int, tuple[int, Any]] = {}  # keeps values alive: no id is used twice
        self.members: set[tuple[int, str]] = set()
        self.untold: list[Any] = []
        self.untold_by_all: list[Any] = []
        self.packages: set[str] = set()

    def within(self, write: Callable[[Any], Any]) -> Reader:
        """Return a reader of one part, which says it to another hash."""
        part = Reader(write, self._kinds, self._whole, self.apart, self.before, watch=self.watch)
        part.untold, part.untold_by_all = self.untold, self.untold_by_all
        part.packages, part.called = self.packages, self.called
        return part

    def say(self, *words: object) -> None:
        """Say words: bytes as they are, all else as Python prints it."""
        for word in words:
            data = word if isinstance(word, bytes) else repr(word).encode()
            self.write(b"%d:%b" % (len(data), data))

    def ask(self, look: Callable[..., tuple[Any, ...]], *args: Any) -> tuple[Any, ...]:
        """Return what a function finds, which is watched."""
        found = look(*args)
        self.watch.asked(look, args, found)
        return found

    def parts(self, kind: str, *values: Any) -> None:
        """Say values in their order."""
        self.say(kind, len(values))
        for value in values:
            self.read(value)

    def fields(self, kind: str, held: Mapping[str, Any]) -> None:
        """Say named values, whatever the order in which they were set."""
        self.say(kind, len(held))
        for name in sorted(held, key=str):
            self.say(name)
            self.read(held[name])

    def say_untold(self, value: Any) -> None:
        """Say that a value cannot be looked into."""
        self.say("untold", type(value).__name__)
        self.untold.append(value)

    def say_file(self, reads: Any) -> None:
        """Say that a package's function or class reads a file."""
        self.say("file")
        self.untold_by_all.append(reads)

    def say_package(self, module: str | None) -> None:
        """Note the package that a module belongs to."""
        if module and top(module) not in sys.stdlib_module_names:
            self.packages.add(top(module))

    def rests(self, kind: type, name: str, value: Any) -> bool:
        """Tell a part of an object's class that is called no more; one that is, is noted."""
        if self.before is None:
            return False
        if self.before.lets_rest(kind, name, value):
            return True
        self.called.makes_its_like |= isinstance(value, classmethod)
        return False

    def first(self, value: Any) -> bool:
        """Tell whether a value is met for the first time; if not, say which one it was."""
        if id(value) in self._seen:
            self.say("again", self._seen[id(value)][0])
            return False
        self._seen[id(value)] = len(self._seen), value
        return True

    def read(self, value: Any) -> None:
        """Say what one value is made of."""
        kind = type(value)
        if kind in _PLAIN:
            self.say(kind.__name__, value)
            return
        self.watch.meet(value)
        if kind in _CONSTANT or self.first(value):
            base = next(base for base in kind.__mro__ if base in self._kinds)
            self._kinds[base](self, value)
            if base is not kind and base not in self._whole:
                self._kinds[object](self, value, base)
