"""A function, class or module → its code, and the names that the code reads elsewhere."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable
from operator import is_
from typing import TYPE_CHECKING, Any

from ...process import keep
from ._code import UNTOLD, Reach, deeds, reach, reads_files
from ._origin import (
    can_be_written,
    is_installed,
    is_of_users_extension,
    is_package,
    is_packages_class,
)

if TYPE_CHECKING:
    from ._reader import Reader

# What a class holds besides what was written in it.
_BESIDE = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl", "__slots__"),
    *("__parameters__", "__orig_bases__", "__annotate__", "__annotate_func__", "__slotnames__"),
    *("__annotations_cache__", "__classdictcell__"),
    # An enumeration's members are written; what is looked up by value grows in use.
    *("_value2member_map_", "_hashable_values_", "_unhashable_values_", "_inverted_"),
    "_unhashable_values_map_",
}
_EMPTY = types.CellType()


def read_code(reader: Reader, code: types.CodeType) -> None:
    """Say what code does."""
    reader.say(*deeds(code))
    reader.parts("constants", *code.co_consts)


def read_function(reader: Reader, function: types.FunctionType) -> None:
    """Say a function's code and what it holds; of a user's function, all that it reads too."""
    code, defaults, keywords, closure, held, *_ = reader.ask(_made_of, function)
    reader.watch.mapping(held)
    reader.parts("function", code, defaults, keywords)
    cells = dict(zip(code.co_freevars, closure or (), strict=True))
    if reader.before is not None:
        cells.pop("__class__", None)  # of a method, which is read with its class
    reader.parts("closure", *cells.values())
    reader.fields("attributes", held)
    if is_installed(code.co_filename):
        reader.say_package(function.__module__)
        reader.say(function.__module__, function.__qualname__)
        if reads_files(function.__name__):
            reader.say_file(function)
        return
    reads = reach(code)
    reader.called.note_code(reads)
    if (
        reads.untold
        or UNTOLD.intersection(reads.names) - function.__globals__.keys()
        or _loads_files(function, reads)
    ):
        reader.say_untold(function)
    attributes = None if reads.asks_by_name else reads.attributes
    for name, value in zip(reads.names, reader.ask(_globals, function, reads.names), strict=True):
        reader.say("global", name)
        if isinstance(value, types.ModuleType):
            read_module(reader, value, attributes)
        else:
            reader.read(value)
    imported = reader.ask(_imported, function, reads.imports)
    for (name, ups), module in zip(reads.imports, imported, strict=True):
        reader.say("import", name, ups)
        if module is not None:
            read_module(reader, module, attributes)
        elif name.partition(".")[0] not in sys.stdlib_module_names:
            reader.say_untold(function)


def _made_of(function: types.FunctionType) -> tuple[Any, ...]:
    return (
        *(function.__code__, function.__defaults__, function.__kwdefaults__, function.__closure__),
        *(function.__dict__, function.__module__, function.__qualname__, function.__name__),
    )


def _globals(function: types.FunctionType, names: tuple[str, ...]) -> tuple[Any, ...]:
    builtins: dict[str, Any] = function.__builtins__  # type: ignore[attr-defined, unused-ignore]
    return tuple(function.__globals__.get(name, builtins.get(name)) for name in names)


def _imported(
    function: types.FunctionType, imports: tuple[tuple[str, int], ...]
) -> tuple[Any, ...]:
    return tuple(sys.modules.get(_absolute(name, ups, function)) for name, ups in imports)


def _loads_files(function: types.FunctionType, reads: Reach) -> bool:
    """Tell whether a package's module is asked to load something."""
    holders = [function.__globals__.get(name) for name in reads.loaders]
    if "" in reads.loaders:  # a name of the function's own, or one that it has captured
        holders += [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
        if reads.imports:
            return True
    return any(isinstance(one, types.ModuleType) and is_package(one) for one in holders)


def _absolute(name: str, ups: int, function: types.FunctionType) -> str:
    package = str(function.__globals__.get("__package__") or "")
    stem = package.rsplit(".", ups - 1)[0] if ups > 1 else package
    return f"{stem}.{name}".strip(".") if ups else name


def read_module(
    reader: Reader, module: types.ModuleType, names: Iterable[str] | None = None
) -> None:
    """Say what a user's module holds under some names, or all; of a package's, whose it is."""
    # A process that multiprocessing spawned calls its parent's main module so.
    called, _ = reader.ask(_place, module)
    reader.say("module", called.replace("__mp_main__", "__main__"))
    if is_package(module):
        reader.say_package(called)
        return
    held = vars(module)
    members = reader.ask(_members, module, names)
    for name in members[: len(members) // 2]:
        if (id(module), name) in reader.members:
            continue
        reader.members.add((id(module), name))
        reader.say("member", name)
        if isinstance(held[name], types.ModuleType):
            read_module(reader, held[name], names)
        else:
            reader.read(held[name])


def _place(module: types.ModuleType) -> tuple[Any, ...]:
    return module.__name__, vars(module).get("__file__")


def _members(module: types.ModuleType, names: Iterable[str] | None) -> tuple[Any, ...]:
    held = vars(module)
    if names is None or "__getattr__" in held:  # which gives names that are not there
        names = {name for name in held if name == "__getattr__" or not name.startswith("__")}
    there = sorted(held.keys() & set(names))
    return (*there, *(held[name] for name in there))


def read_class(reader: Reader, kind: type) -> None:
    """Say all of a class that makes objects when code runs."""
    reader.called.note_class(kind)
    _read_kind(reader, kind)


def read_kind_of(reader: Reader, value: Any) -> None:
    """Say what class an object is of, which need not make others."""
    if reader.first(type(value)):
        _read_kind(reader, type(value))


def _read_kind(reader: Reader, kind: type) -> None:
    """Say whose a class and its bases are; of a user's, all that was written in them."""
    if type(kind) is not type:
        reader.read(type(kind))
    reader.watch.bases(kind)
    for base in kind.__mro__:
        held = vars(base)
        of_extension, of_package = _ask_whose(reader, base)
        if of_extension:
            reader.say_untold(base)
        elif of_package:
            reader.say("class", base.__module__, base.__qualname__)
            reader.say_package(base.__module__)
            changed = _changed(base)
            if changed:
                reader.fields("changed", changed)
                reader.watch.give_up()
            if can_be_written(base):
                reader.watch.package_class(base)
            if base is kind and kind in reader.called.classes and reads_files(kind.__name__):
                reader.say_file(kind)
        elif base is kind or reader.first(base):
            reader.say("class", *reader.ask(_name, base))
            reader.watch.mapping(held)
            written = {
                name: value
                for name, value in held.items()
                if name not in _BESIDE and not reader.rests(base, name, value)
            }
            reader.fields("written", written)


def _name(kind: type) -> tuple[str]:
    return (kind.__name__,)


def _ask_whose(reader: Reader, kind: type) -> tuple[bool, ...]:
    """Say whose a class is; where its own module holds it, a few look-ups tell that it still is."""
    module = sys.modules.get(kind.__module__)
    if type(module) is not types.ModuleType or "__file__" not in vars(module):
        return reader.ask(_whose, kind)
    if can_be_written(kind):
        if vars(module).get(kind.__qualname__) is not kind:
            return reader.ask(_whose, kind)
        reader.watch.called(kind, module)
    reader.watch.module(kind.__module__, module)
    return _whose(kind)


def _whose(kind: type) -> tuple[bool, ...]:
    return is_of_users_extension(kind), is_packages_class(kind)


def _changed(kind: type) -> dict[str, Any]:
    """Find what somebody put into a package's class.

    A class is looked through once, and again when it holds anything else than it did then, or when
    one of its functions has other code.
    """
    held = vars(kind)
    values = tuple(held.values())
    seen, then, functions, codes = _unchanged.get(id(kind), _NEVER)
    if seen is kind:
        now = (function.__code__ for function in functions)
        if len(values) == len(then) and all(map(is_, values, then)) and all(map(is_, now, codes)):
            return {}
    found = {name: getattr(value, "__func__", value) for name, value in held.items()}
    code_of = {n: f.__code__ for n, f in found.items() if isinstance(f, types.FunctionType)}
    changed = {name: value for name, value in held.items() if _is_users(value)}
    if not changed:
        if len(_unchanged) >= _MOST_UNCHANGED:
            _unchanged.clear()
        functions = tuple(found[name] for name in code_of)
        _unchanged[id(kind)] = kind, values, functions, tuple(code_of.values())
    return changed


def _is_users(value: Any) -> bool:
    """Tell what a user wrote, also behind wrappers that come with packages."""
    for _ in range(_MOST_WRAPPERS):
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        elif isinstance(value, functools.partial | functools.partialmethod):
            value = value.func
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, types.FunctionType):
            if not is_installed(value.__code__.co_filename):
                return True
            value = value.__dict__.get("__wrapped__")
        else:
            break
    # An object that can be called: it is whose its class is.
    home = sys.modules.get(type(value).__module__)
    if home is None or not callable(value) or is_package(home):
        return False
    # Modules without a file, other than the user's, are what extensions make for themselves.
    return home.__name__ == "__main__" or isinstance(vars(home).get("__file__"), str)


_Seen = tuple[
    type | None, tuple[Any, ...], tuple[types.FunctionType, ...], tuple[types.CodeType, ...]
]
_NEVER: _Seen = (None, (), (), ())
_MOST_UNCHANGED = 4096
_MOST_WRAPPERS = 16
# By their ids, with the classes: what they hold would keep weak keys alive.
_unchanged: dict[int, _Seen] = {}
keep(
    f"{__name__}._unchanged",
    "classes of packages that nobody changed",
    clear=_unchanged.clear,
    size=_unchanged.__len__,
)
