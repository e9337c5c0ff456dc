"""A callable → a digest of its code and of all that it holds, the same in every process.

Rows are known by it, so two callables that could give different samples must never share it. What
cannot be looked into counts as different from all else: that costs rows that were known, and never
gives a wrong one.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import sysconfig
import types
import uuid
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

_PLAIN = (str, bytes, int, float, complex, type(None), type(Ellipsis))
_NAMED = (type, types.ModuleType, np.ufunc)
_INSTALLED = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
_STANDARD = sysconfig.get_path("stdlib")
_opaque: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def identity(function: Callable[..., Any]) -> str:
    """Hash a callable: code, defaults, what it has captured, and what an object stores.

    Of functions outside installed packages the globals that they read count too.
    """
    return _digest(function)


def _digest(value: Any) -> str:
    hasher = hashlib.sha256()
    try:
        _Reader(hasher.update).read(value)
    except RecursionError:
        return _unlike_all_else(value)
    return hasher.hexdigest()


def _unlike_all_else(value: Any) -> str:
    try:
        return _opaque.setdefault(value, uuid.uuid4().hex)
    except TypeError:  # has no weak references, or no hash
        return uuid.uuid4().hex


def _is_users(code: types.CodeType) -> bool:
    """Tell code that a user may edit from that of installed packages."""
    return not code.co_filename.startswith((*_INSTALLED, _STANDARD, "<frozen"))


def _names(code: types.CodeType) -> set[str]:
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*(_names(part) for part in inner))


class _Reader:
    """Says what a value is made of, part by part."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write = write
        self._seen: dict[int, tuple[int, Any]] = {}  # keeps values alive: no id is used twice

    def _say(self, *words: object) -> None:
        for word in words:
            data = word if isinstance(word, bytes) else repr(word).encode()
            self._write(b"%d:%b" % (len(data), data))

    def _parts(self, kind: str, *values: Any) -> None:
        self._say(kind, len(values))
        for value in values:
            self.read(value)

    def read(self, value: Any) -> None:  # noqa: C901, PLR0912  a line for each kind of value
        """Say what one value is made of."""
        if isinstance(value, _PLAIN) and not isinstance(value, enum.Enum):
            self._say(type(value).__name__, value)
            return
        if id(value) in self._seen:
            self._say("again", self._seen[id(value)][0])
            return
        self._seen[id(value)] = len(self._seen), value
        match value:
            case enum.Enum():
                self._parts("enum", type(value), value.name)
            case _ if isinstance(value, _NAMED):
                self._say("named", getattr(value, "__module__", ""), _name(value))
            case types.BuiltinFunctionType():
                holder = value.__self__
                self._parts("builtin", value.__module__, value.__qualname__, holder)
            case types.FunctionType():
                self._function(value)
            case types.CodeType():
                self._parts("code", value.co_code, value.co_names, *value.co_consts)
            case types.MethodType():
                self._parts("method", value.__func__, value.__self__)
            case types.CellType():
                self._parts("cell", *([value.cell_contents] if value != types.CellType() else []))
            case functools.partial():
                self._parts("partial", value.func, value.args, value.keywords)
            case Mapping():
                self._parts("mapping", type(value), *value.keys(), *value.values())
            case list() | tuple():
                self._parts("sequence", type(value), *value)
            case set() | frozenset():
                self._say("set", *sorted(map(_digest, value)))
            case Tensor():
                flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                self._say("tensor", value.dtype, tuple(value.shape), flat.numpy().tobytes())
            case np.ndarray() if not value.dtype.hasobject:
                self._say("array", value.dtype.str, value.shape, value.tobytes())
            case _:
                self._object(value)

    def _function(self, function: types.FunctionType) -> None:
        code = function.__code__
        held = (function.__defaults__, function.__kwdefaults__, function.__closure__)
        self._parts("function", function.__module__, function.__qualname__, code, *held)
        if _is_users(code):
            names = sorted(_names(code) & function.__globals__.keys())
            self._parts("globals", *names, *(function.__globals__[name] for name in names))

    def _object(self, value: Any) -> None:
        kind = type(value)
        slots = [
            name
            for base in kind.__mro__
            for name in np.atleast_1d(base.__dict__.get("__slots__", ()))
            if name not in {"__dict__", "__weakref__"}
        ]
        if not slots and not hasattr(value, "__dict__"):
            printed = repr(value)
            self._parts("opaque", kind, _unlike_all_else(value) if " at 0x" in printed else printed)
            return
        stored = [getattr(value, str(name), None) for name in slots]
        self._parts("object", kind, getattr(value, "__dict__", None), *stored)
        for base in kind.__mro__:
            written = [getattr(part, "__func__", part) for part in vars(base).values()]
            functions = [part for part in written if isinstance(part, types.FunctionType)]
            self._parts("methods", *(part for part in functions if _is_users(part.__code__)))


def _name(value: Any) -> str:
    return str(getattr(value, "__qualname__", None) or getattr(value, "__name__", value))
