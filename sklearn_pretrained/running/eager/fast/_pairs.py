"""A network and a forward → the submodules whose output one other submodule reads, and no more."""

# The count of operations in place, looking without being seen, and tags are private to torch.

from __future__ import annotations

import itertools
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from ....taps import Listener, listening, tensors

_Key = tuple[int, int]


@dataclass(frozen=True)
class Flow:
    """Where activations went in one forward.

    Parameters
    ----------
    next_of : dict
        From a submodule to the only one that touched its output, by name.
    reached : set of str
        Submodules that read a tensor.
    looks_at_values : bool
        Whether the forward turned values into something that Python can branch on. One that did
        not goes the same way for every item of this shape.
    touched : set of int
        The ``id`` of every tensor that any operation has read; those of a forward are gone.
    result : list of Tensor
        What the forward gave.
    """

    next_of: Mapping[str, str]
    reached: frozenset[str]
    looks_at_values: bool
    touched: frozenset[int]
    result: list[Tensor]


# What leaves torch without an operation of its own.
_WAYS_OUT = frozenset({
    *(Tensor.tolist, Tensor.numpy, Tensor.__array__, Tensor.__repr__, Tensor.__reduce_ex__),
    *(Tensor.data_ptr, Tensor.untyped_storage, Tensor.storage, Tensor.__dlpack__),
})  # fmt: skip
_TAGS = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})


# They choose between no mask and one that masks nothing.
_MAY_LOOK = frozenset({"transformers.masking_utils"})
_MASKS = {torch.bool, torch.uint8}


class _ValuesRead(TorchDispatchMode):
    """Notes operations whose number or shape of results depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.some = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not _TAGS.isdisjoint(func.tags) and not (
            func is torch.ops.aten.index.Tensor
            and all(x is None or x.dtype not in _MASKS for x in args[1])
        ):
            self.note()
        return func(*args, **(kwargs or {}))

    def note(self) -> None:
        """Note that values were read, unless it was by code that is known."""
        frame = sys._getframe(1)
        while frame.f_back and frame.f_globals["__name__"].startswith(("torch.", __name__)):
            frame = frame.f_back
        self.some |= frame.f_globals["__name__"] not in _MAY_LOOK


class _Watch(TorchFunctionMode):
    """Notes who touches which tensor, between which in-place operations."""

    def __init__(self) -> None:
        super().__init__()
        self.values = _ValuesRead()
        self.running: list[nn.Module] = []
        self.runs: Counter[nn.Module] = Counter()
        self.touched_by: dict[_Key, set[nn.Module]] = defaultdict(set)
        self.made_by: dict[_Key, nn.Module] = {}
        self.reached: set[nn.Module] = set()
        self.touched: set[int] = set()
        # Activations need gigabytes, so they are not kept alive; when one goes, another may get
        # its id, but never its number.
        self.numbers = WeakTensorKeyDictionary()
        self.count = itertools.count()

    def key(self, tensor: Tensor) -> _Key:
        self.touched.add(id(tensor))
        with torch._C.DisableTorchFunction():
            number = self.numbers.get(tensor)
            if number is None:
                number = self.numbers[tensor] = next(self.count)
            return number, tensor._version

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tensors((args, kwargs)):
            self.touched_by[self.key(tensor)].add(self.running[-1])
        if func in _WAYS_OUT:
            self.values.note()
        return func(*args, **(kwargs or {}))

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.running.append(module)
        self.runs[module] += 1
        for tensor in tensors((args, kwargs)):
            self.touched_by[self.key(tensor)].add(module)
            self.reached.add(module)

    def after(self, module: nn.Module, output: Any) -> None:
        self.running.pop()
        is_leaf = next(module.children(), None) is None
        for tensor in tensors(output):
            key = self.key(tensor)
            if is_leaf and key not in self.made_by:
                self.made_by[key] = module
            else:
                self.touched_by[key].add(module)


def flow(network: nn.Module, call: Callable[[nn.Module], Any]) -> Flow:
    """Run ``call(network)`` and see where the activations go.

    A submodule that ran more than once is in no pair, nor is one whose output anything else has
    seen: a function, a container that returns it, or the caller.
    """
    watch = _Watch()
    watch.running.append(network)
    names = {module: name for name, module in network.named_modules()}
    listener = Listener(watch.before, watch.after)
    listeners = dict.fromkeys(names, listener)
    # not in inference mode, whose tensors do not count the operations in place
    plain = torch.inference_mode(mode=False), torch.no_grad()
    with plain[0], plain[1], listening(listeners), watch.values, watch:
        result = list(tensors(call(network)))
    for tensor in result:
        watch.touched_by[watch.key(tensor)].add(network)
    next_of = {}
    for key, module in watch.made_by.items():
        others = watch.touched_by[key] - {module}
        if len(others) == 1:
            (other,) = others
            if watch.runs[module] == watch.runs[other] == 1:
                next_of[names[module]] = names[other]
    reached = frozenset(names[module] for module in watch.reached)
    return Flow(next_of, reached, watch.values.some, frozenset(watch.touched), result)
