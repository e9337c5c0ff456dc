"""A code object → what it does, and what it reads that is not its own."""

from __future__ import annotations

import dis
import types
from dataclasses import dataclass

from ..._process import remembered

UNTOLD = frozenset({"open", "eval", "exec", "compile", "globals", "__import__", "input"})
"""Builtins after which nobody can say what code reads: files, and code that is made of text."""

_UNTOLD_ATTRIBUTES = {"environ", "environb", "getenv", "import_module"}
_MODULES = {"sys", "modules"}  # a way to any module, by its name
_BY_NAME = {"getattr", "attrgetter", "vars", "__dict__"}


@dataclass(frozen=True)
class Reach:
    """What code reads that is not its own, the functions written inside it included.

    Parameters
    ----------
    names : tuple of str
        Global names, sorted.
    attributes : frozenset of str
        Names that it may ask of a module.
    imports : tuple of (str, int)
        Modules that it imports when it runs: name, and how many packages up.
    asks_by_name : bool
        Whether it may ask a module for a name that is not written in it.
    untold : bool
        Whether it reads the environment, or modules that it finds by name.
    """

    names: tuple[str, ...]
    attributes: frozenset[str]
    imports: tuple[tuple[str, int], ...]
    asks_by_name: bool
    untold: bool


@remembered("what code reads", maxsize=4096)
def reach(code: types.CodeType) -> Reach:
    """Look through code; equal code is looked through once."""
    steps = list(dis.get_instructions(code))
    loads = [step for step in steps if "GLOBAL" in step.opname or step.opname == "LOAD_NAME"]
    imports = [
        (step.argval, steps[i - 2].argval)  # the level is loaded first, then the names
        for i, step in enumerate(steps)
        if step.opname == "IMPORT_NAME"
    ]
    texts = frozenset(constant for constant in code.co_consts if isinstance(constant, str))
    inner = [reach(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    names = {step.argval for step in loads}.union(*(part.names for part in inner))
    return Reach(
        tuple(sorted(names)),
        texts.union(code.co_names, *(part.attributes for part in inner)),
        tuple(sorted({*imports, *(one for part in inner for one in part.imports)})),
        asks_by_name=not _BY_NAME.isdisjoint(code.co_names) or any(p.asks_by_name for p in inner),
        untold=not _UNTOLD_ATTRIBUTES.isdisjoint(code.co_names)
        or _MODULES.issubset(code.co_names)
        or any(part.untold for part in inner),
    )


def deeds(code: types.CodeType) -> tuple[object, ...]:
    """Return what code does, apart from its constants and from where it stands in a file."""
    n_arguments = code.co_argcount + code.co_kwonlyargcount
    return (
        code.co_code,
        code.co_exceptiontable,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
        (code.co_names, code.co_varnames[:n_arguments], code.co_freevars, code.co_cellvars),
    )
