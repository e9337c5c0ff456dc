"""A network on the meta device → what each submodule gave, in order, and what it cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..taps import Listener, first_tensor, listening


@dataclass
class Visit:
    """What a submodule did in one forward.

    Where it ran several times, shapes and costs are those of the last time.
    """

    name: str
    module: nn.Module
    calls: int = 0
    order: int = 0
    shape: tuple[int, ...] = ()
    in_shape: tuple[int, ...] = ()
    started: int = 0
    ended: int = 0
    inputs: set[int] = field(default_factory=set)
    output: int = 0

    @property
    def kind(self) -> type:
        """What class the submodule is of, or was before it was exported."""
        own = type(self.module)
        name = str(self.module.type_name()) if own.__name__ == "InterpreterModule" else ""  # type: ignore[operator]
        return getattr(nn, name.rpartition(".")[2], own) if name.startswith("torch.nn.") else own

    @property
    def own_cost(self) -> int:
        """Operations inside this submodule."""
        return self.ended - self.started


@dataclass(frozen=True)
class Moment:
    """A tensor in the hands of a submodule.

    Parameters
    ----------
    tensor, version : int
        Its id, and how often it had been written into.
    module, side, call
        Which submodule gave it or was given it, and at which of its runs.
    done : int
        What had been computed by then.
    order : int
    """

    tensor: int
    version: int
    module: str
    side: str
    call: int
    done: int
    order: int


class _OperationCounter(TorchDispatchMode):
    """Counts the multiply-adds of everything that runs under it.

    A network that asks for a value, where there are none, is told zero, or no. The values of a
    mask or of special tokens decide what is masked, and hardly ever a shape.
    """

    def __init__(self, *, costs: bool) -> None:
        super().__init__()
        self.total = 0
        self.costs = costs
        self.made_of: dict[int, tuple[Tensor, tuple[int, ...]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:  # noqa: SLF001
            return torch.zeros((), dtype=args[0].dtype).item()
        if func is torch.ops.aten._grouped_mm.default:  # noqa: SLF001
            # Mixtures of experts, which the meta device knows in bfloat16 only.
            self.total += 2 * args[0].numel() * args[1].shape[-1]
            return args[0].new_empty(args[0].shape[0], args[1].shape[-1])
        out = func(*args, **(kwargs or {}))
        if torch.Tag.pointwise in func.tags and isinstance(out, Tensor):
            alike = [x for x in args if isinstance(x, Tensor) and x.shape == out.shape]
            sources = tuple(id(x) for x in alike if x is not out)
            if sources:
                self.made_of.setdefault(id(out), (out, sources))
        if not self.costs:
            return out
        count = flop_registry.get(func.overloadpacket if hasattr(func, "overloadpacket") else func)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


@dataclass
class Trace:
    """One forward.

    Parameters
    ----------
    visits : list of Visit
        In the order in which the submodules ended.
    total : int
        The cost.
    made_of : dict of int to (Tensor, tuple of int)
        From a tensor that was computed value by value, such as a sum, to those of its shape that
        it was computed from, all by their ids. The tensor is kept, so that no id is used twice.
    moments : list of Moment
        Each tensor that a submodule gave or was given, in order.
    output : object
        What the network returned.
    """

    visits: list[Visit]
    total: int
    made_of: dict[int, tuple[Tensor, tuple[int, ...]]] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    output: Any = None

    def __post_init__(self) -> None:
        self.by_name = {visit.name: visit for visit in self.visits}


# In eval mode these give what they get, with other values; on the meta device there are no values,
# and working out the shape in Python is most of the price of a plan.
_SAME_SHAPE = frozenset(
    {
        *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm),
        *(nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh),
        *(nn.Dropout, nn.Dropout2d, nn.Identity),
    }
)


def _give_what_it_gets(x: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
    return x


def trace(
    network: nn.Module,
    call: Callable[[nn.Module], Any],
    *,
    costs: bool = True,
    shortcuts: bool = True,
) -> Trace:
    """Run ``call(network)`` with every submodule watched; the skeleton is of no use afterwards.

    With ``shortcuts``, submodules that keep the shape give the very tensor that they get.
    """
    names: dict[nn.Module, Visit] = {}
    counter = _OperationCounter(costs=costs)
    kept: list[Tensor] = []  # alive, so that no id is used twice
    moments: list[Moment] = []
    clock = 0

    def note(visit: Visit, tensor: Tensor, side: str, call: int) -> None:
        kept.append(tensor)
        place = (visit.name, side, call, counter.total, len(moments))
        moments.append(Moment(id(tensor), tensor._version, *place))  # noqa: SLF001

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        visit = names[module]
        visit.started = counter.total
        tensor = first_tensor(args) if args else first_tensor(kwargs)
        visit.in_shape = () if tensor is None else tuple(tensor.shape)
        visit.inputs = set() if tensor is None else {id(tensor)}
        if tensor is not None:
            note(visit, tensor, "input", visit.calls + 1)

    def after(module: nn.Module, output: Any) -> None:
        nonlocal clock
        clock += 1
        visit = names[module]
        tensor = first_tensor(output)
        visit.calls += 1
        visit.order = clock
        visit.ended = counter.total
        if tensor is not None:
            note(visit, tensor, "output", visit.calls)
            visit.shape, visit.output = tuple(tensor.shape), id(tensor)

    for name, module in network.named_modules():
        names[module] = Visit(name, module)
        if shortcuts and type(module) in _SAME_SHAPE:
            module.forward = _give_what_it_gets
    with torch.no_grad(), listening(dict.fromkeys(names, Listener(before, after))), counter:
        output = call(network)
    visits = sorted((v for v in names.values() if v.calls and v.shape), key=lambda v: v.order)
    return Trace(visits, counter.total, counter.made_of, moments, output)
