"""A code object → what it does, and what it reads that is not its own."""

from __future__ import annotations

import dis
import types
from dataclasses import dataclass

from ...process import remembered

UNTOLD = frozenset({"open", "eval", "exec", "compile", "globals", "__import__", "input"})
"""Builtins after which nobody can say what code reads: files, and code that is made of text."""

_UNTOLD_ATTRIBUTES = {"environ", "environb", "getenv", "import_module"}
_READERS = {
    *("open", "fdopen", "urlopen", "urlretrieve", "mmap", "ZipFile", "File", "connect"),
    *("read_text", "read_bytes", "read_binary", "read_file", "getline", "getlines"),
    *("memmap", "open_memmap", "fromfile", "from_file", "loadtxt", "genfromtxt", "loadmat"),
    *("load_npz", "load_file", "load_url", "load_state_dict_from_url", "safe_open"),
    *("imread", "imread_collection", "read_image", "decode_image", "truetype"),
    *("read_csv", "read_table", "read_parquet", "read_pickle", "read_feather", "read_excel"),
    *("from_pretrained", "hf_hub_download", "snapshot_download"),
}
"""Names under which libraries read files, whatever they are asked of."""
_LOAD = "load"  # reads a file where it is asked of a module; an image has such a method, too
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
        Whether it reads files or the environment, or modules that it finds by name.
    loaders : frozenset of str
        Global names of what it asks to load something, and "" for all that has no such name.
    """

    names: tuple[str, ...]
    attributes: frozenset[str]
    imports: tuple[tuple[str, int], ...]
    asks_by_name: bool
    untold: bool
    loaders: frozenset[str]


@remembered("what code reads", maxsize=4096)
def reach(code: types.CodeType) -> Reach:
    """Look through code; equal code is looked through once."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
    loads = [step for step in steps if "GLOBAL" in step.opname or step.opname == "LOAD_NAME"]
    imports = [
        (step.argval, steps[i - 2].argval)  # the level is loaded first, then the names
        for i, step in enumerate(steps)
        if step.opname == "IMPORT_NAME"
    ]
    texts = frozenset(constant for constant in code.co_consts if isinstance(constant, str))
    asked = {step.argval for step in steps if _asks(step)}
    inner = [reach(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    loaders = {_holder(steps[:i]) for i, step in enumerate(steps) if _asks(step, _LOAD)}
    names = {step.argval for step in loads}.union(*(part.names for part in inner))
    asks_by_name = not _BY_NAME.isdisjoint(code.co_names)
    return Reach(
        tuple(sorted(names)),
        texts.union(code.co_names, *(part.attributes for part in inner)),
        tuple(sorted({*imports, *(one for part in inner for one in part.imports)})),
        asks_by_name=asks_by_name or any(part.asks_by_name for part in inner),
        untold=not _UNTOLD_ATTRIBUTES.isdisjoint(code.co_names)
        or _MODULES.issubset(code.co_names)
        or not _READERS.isdisjoint(asked.union(texts if asks_by_name else ()))
        or any(part.untold for part in inner),
        loaders=frozenset(loaders).union(*(part.loaders for part in inner)),
    )


def reads_files(name: str) -> bool:
    """Tell by its name whether a function or class of a library reads files."""
    return name in _READERS or name == _LOAD


def _asks(step: dis.Instruction, *names: str) -> bool:
    """Tell a step that takes an attribute, or a name out of a module."""
    takes = step.opname in {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}
    return takes and (not names or step.argval in names)


def _holder(steps: list[dis.Instruction]) -> str:
    """Return the global name whose attribute, or attribute's attribute, is taken next."""
    holder = next(step for step in reversed(steps) if step.opname not in {"LOAD_ATTR", "CACHE"})
    return holder.argval if "GLOBAL" in holder.opname or holder.opname == "LOAD_NAME" else ""


def deeds(code: types.CodeType) -> tuple[object, ...]:
    """Return what code does, apart from its constants and from where it stands in a file."""
    n_arguments = code.co_argcount + code.co_kwonlyargcount
    return (
        code.co_code,
        code.co_exceptiontable,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
        (code.co_names, code.co_varnames[:n_arguments], code.co_freevars, code.co_cellvars),
    )
