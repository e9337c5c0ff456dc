"""A class → how a value of it is read: the table that every reader looks into."""

from __future__ import annotations

import enum
import functools
import hashlib
import logging
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._tensors import feed
from ._code import reads_files
from ._functions import read_class, read_code, read_function, read_kind_of, read_module
from ._objects import read_own
from ._origin import is_of_users_extension
from ._reader import Read, Reader

# Of a network: what only training needs, and hooks, which are told apart from their numbers.
_OF_TRAINING = {
    *("training", "_backward_hooks", "_backward_pre_hooks", "_is_full_backward_hook"),
    *("_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks"),
    *("_load_state_dict_post_hooks", "_non_persistent_buffers_set"),
}
_HOOKS = {
    "_forward_hooks": ("_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    "_forward_pre_hooks": ("_forward_pre_hooks_with_kwargs",),
}
_HELD_APART = _OF_TRAINING.union(_HOOKS, *_HOOKS.values())
_LOOKED_INTO = {
    *_HOOKS,
    *(flag for flags in _HOOKS.values() for flag in flags),
    *("_state_dict_hooks", "_state_dict_pre_hooks", "_non_persistent_buffers_set"),
}
_TORCHS_OWN = ("aten.", "prims.", "prim.", "torchvision.")


def _attributes(*names: str) -> Read:
    """Read a value by some of its attributes."""

    def look(value: Any) -> tuple[Any, ...]:
        return tuple(getattr(value, name, None) for name in names)

    def read(reader: Reader, value: Any) -> None:
        reader.parts(type(value).__name__, *reader.ask(look, value))

    return read


def _word(say: Callable[[Any], object]) -> Read:
    """Read a value that never changes by one word."""
    return lambda reader, value: reader.say(type(value).__name__, say(value))


def _held(find: Callable[[Any], Iterable[Any]]) -> Read:
    """Read a value by the parts that it holds."""

    def look(value: Any) -> tuple[Any, ...]:
        return tuple(find(value))

    return lambda reader, value: reader.parts(type(value).__name__, *reader.ask(look, value))


def _read_mapping(reader: Reader, held: Mapping[Any, Any]) -> None:
    reader.watch.mapping(held)
    kind: Any = OrderedDict if isinstance(held, OrderedDict) else dict
    reader.parts(type(held).__name__, *kind.keys(held), *kind.values(held))


def _read_list(reader: Reader, values: list[Any]) -> None:
    reader.watch.collection(values)
    reader.parts(type(values).__name__, *list.__iter__(values))


def _read_tuple(reader: Reader, values: tuple[Any, ...]) -> None:
    """Say the items, which stay the same; what is in them is watched."""
    reader.parts(type(values).__name__, *tuple.__iter__(values))


def _read_bytearray(reader: Reader, value: bytearray) -> None:
    reader.watch.give_up()
    reader.say(type(value).__name__, bytes(value))


def _holder(function: types.BuiltinFunctionType) -> tuple[Any, ...]:
    return (function.__self__,)


def _read_builtin(reader: Reader, function: types.BuiltinFunctionType) -> None:
    (holder,) = reader.ask(_holder, function)
    reader.say("builtin", function.__module__, function.__qualname__)
    if is_of_users_extension(function):
        reader.say_untold(function)
    elif reads_files(function.__name__):
        reader.say_file(function)
    elif not isinstance(holder, types.ModuleType | types.NoneType):
        reader.read(holder)


def _read_weakly(reader: Reader, reference: weakref.ref[Any]) -> None:
    """Say what is referred to; to watch it would be to hold it."""
    reader.watch.give_up()
    reader.parts(type(reference).__name__, reference())


def _read_set(reader: Reader, values: Collection[Any]) -> None:
    """Say the members, in an order that does not depend on their addresses."""
    reader.watch.collection(values)
    digests = []
    for value in values:
        hasher = hashlib.sha256()
        reader.within(hasher.update).read(value)
        digests.append(hasher.hexdigest())
    reader.say(type(values).__name__, *sorted(digests))


def _read_array(reader: Reader, array: np.ndarray) -> None:
    """Say an array's numbers, or the objects that it holds."""
    reader.watch.give_up()
    reader.say("array", str(array.dtype), array.dtype.str, array.shape)
    plain = np.asarray(array)
    if array.dtype.hasobject:
        reader.parts("objects", *plain.reshape(-1).tolist())
    else:
        reader.say(plain.tobytes())


def _read_tensor(reader: Reader, tensor: Tensor) -> None:
    """Say a tensor's numbers, where they are not told in another way."""
    if id(tensor) in reader.apart:
        reader.say("weight", reader.apart[id(tensor)])
        return
    reader.watch.give_up()
    reader.say("tensor", str(tensor.dtype), tuple(tensor.shape))
    try:
        feed(tensor, reader.write)
    except Exception:
        reader.say_untold(tensor)


def _read_network(reader: Reader, module: nn.Module) -> None:
    """Say what a module is, apart from what only training needs."""
    reader.watch.owner(module)
    read_kind_of(reader, module)
    held = vars(module)
    for name in _LOOKED_INTO & held.keys():
        look = reader.watch.collection if isinstance(held[name], set) else reader.watch.mapping
        look(held[name])
    reader.fields("held", {name: held[name] for name in held.keys() - _HELD_APART})
    for hooks, flags in _HOOKS.items():
        for number, hook in held.get(hooks, {}).items():
            reader.say(hooks, [number in held.get(flag, ()) for flag in flags])
            reader.read(hook)


def _read_operator(reader: Reader, operator: Any) -> None:
    """Say the name of one of torch's own operators; anybody may write others anew."""
    if str(operator).startswith(_TORCHS_OWN):
        reader.say("operator", str(operator))
    else:
        reader.say_untold(operator)


def _name(value: Any) -> tuple[Any, ...]:
    return (getattr(value, "name", ""),)


def _read_name(reader: Reader, value: Any) -> None:
    """Say the name of what holds nothing that could move a row."""
    reader.say(type(value).__name__, *reader.ask(_name, value))


_descriptor = _attributes("__objclass__", "__name__")
KINDS: dict[type, Read] = {
    object: read_own,
    enum.Enum: _attributes("__class__", "name", "value"),
    type: read_class,
    types.ModuleType: read_module,
    types.FunctionType: read_function,
    types.BuiltinFunctionType: _read_builtin,
    types.MethodType: _attributes("__func__", "__self__"),
    types.MethodWrapperType: _attributes("__objclass__", "__name__", "__self__"),
    types.MethodDescriptorType: _descriptor,
    types.WrapperDescriptorType: _descriptor,
    types.ClassMethodDescriptorType: _descriptor,
    types.GetSetDescriptorType: _descriptor,
    types.MemberDescriptorType: _attributes("__name__"),
    types.CodeType: read_code,
    types.CellType: _held(lambda cell: [cell.cell_contents] if cell != types.CellType() else []),
    types.MappingProxyType: _held(lambda held: (*held.keys(), *held.values())),
    staticmethod: _attributes("__func__"),
    classmethod: _attributes("__func__"),
    property: _attributes("fget", "fset", "fdel"),
    functools.partial: _attributes("func", "args", "keywords", "__dict__"),
    type(functools.cache(len)): _attributes("__wrapped__"),
    weakref.ref: _read_weakly,
    list: _read_list,
    tuple: _read_tuple,
    dict: _read_mapping,
    OrderedDict: _read_mapping,
    set: _read_set,
    frozenset: _read_set,
    str: _word(str.__str__),
    bytes: _word(lambda value: bytes(memoryview(value))),
    bytearray: _read_bytearray,
    int: _word(int.__int__),
    float: _word(float.__float__),
    complex: _word(lambda value: (value.real, value.imag)),
    np.ndarray: _read_array,
    np.memmap: _read_array,
    np.generic: lambda reader, value: _read_array(reader, np.asarray(value)),
    np.dtype: _word(lambda dtype: (str(dtype), dtype.str)),
    Tensor: _read_tensor,
    nn.Module: _read_network,
    torch._ops.OpOverload: _read_operator,  # noqa: SLF001
    torch._ops.OpOverloadPacket: _read_operator,  # noqa: SLF001
    **{kind: _word(repr) for kind in (torch.dtype, torch.device, torch.layout)},
    torch.memory_format: _word(repr),
    **dict.fromkeys((logging.Logger, type(threading.Lock())), _read_name),
    type(threading.RLock()): _read_name,
}
# Their readers say the class and all attributes, or need not.
WHOLE: set[type] = {
    *(object, enum.Enum, type, types.ModuleType, nn.Module, logging.Logger),
    *(np.generic, np.dtype, np.memmap, torch._ops.OpOverload, torch._ops.OpOverloadPacket),  # noqa: SLF001
}
