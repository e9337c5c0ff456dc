"""A network and a forward → the submodules whose output one other submodule reads, and no more."""

# The count of operations in place, and looking without being seen, are private to torch.

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_Key = tuple[int, int]


@dataclass(frozen=True)
class Flow:
    """Where activations went in one forward.

    Parameters
    ----------
    next_of : dict
        From a submodule to the only one that touched its output.
    shape_of : dict
        From a submodule without submodules to the shape of what it read.
    result : list of Tensor
        What the forward gave.
    """

    next_of: Mapping[nn.Module, nn.Module]
    shape_of: Mapping[nn.Module, tuple[int, ...]]
    result: list[Tensor]


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors inside nested lists, tuples and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


class _Watch(TorchFunctionMode):
    """Notes who touches which tensor, between which in-place operations."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[nn.Module] = []
        self.runs: Counter[nn.Module] = Counter()
        self.touched_by: dict[_Key, set[nn.Module]] = defaultdict(set)
        self.made_by: dict[_Key, nn.Module] = {}
        self.shape_of: dict[nn.Module, tuple[int, ...]] = {}
        self._kept: dict[int, Tensor] = {}  # alive, so that no id is used twice

    def key(self, tensor: Tensor) -> _Key:
        self._kept[id(tensor)] = tensor
        with torch._C.DisableTorchFunction():
            return id(tensor), tensor._version

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tensors((args, kwargs)):
            self.touched_by[self.key(tensor)].add(self.running[-1])
        return func(*args, **(kwargs or {}))

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.running.append(module)
        self.runs[module] += 1
        for tensor in tensors((args, kwargs)):
            self.touched_by[self.key(tensor)].add(module)
            with torch._C.DisableTorchFunction():
                self.shape_of.setdefault(module, tuple(tensor.shape))

    def after(self, module: nn.Module, _args: Any, output: Any) -> None:
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
    handles = []
    try:
        for module in network.modules():
            handles.append(module.register_forward_pre_hook(watch.before, with_kwargs=True))
            handles.append(module.register_forward_hook(watch.after))
        watch.running.append(network)
        # not in inference mode, whose tensors do not count the operations in place
        with torch.inference_mode(mode=False), torch.no_grad(), watch:
            result = list(tensors(call(network)))
    finally:
        for handle in handles:
            handle.remove()
    for tensor in result:
        watch.touched_by[watch.key(tensor)].add(network)
    next_of = {}
    for key, module in watch.made_by.items():
        others = watch.touched_by[key] - {module}
        if len(others) == 1:
            (other,) = others
            if watch.runs[module] == watch.runs[other] == 1:
                next_of[module] = other
    return Flow(next_of, watch.shape_of, result)
