"""A backbone → its plan: every layer's name, shape, width and cost, without weights or compute."""

from __future__ import annotations

import difflib
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import torch
from torch import nn

from ..backbones import key_of_hooks
from ..exceptions import LayerError, MissingExtraError, WeightsError
from ..process import in_children, keep, remembered
from ..recipe import parsed
from ..taps import Layout, _pooling, first_tensor
from ._hidden import Hidden, hidden_states
from ._layout import layouts
from ._stages import head, stages
from ._trace import Trace, trace

PENULTIMATE = "penultimate"
OUTPUT = "output"
_BATCH = 2


@dataclass(frozen=True)
class Layer:
    """One place of a network that can be read.

    Parameters
    ----------
    name : str
        What users call it.
    module, side, calls
        Where it is tapped: submodule, its output or input, and at which of its runs.
    shape : tuple of int
        Of one item's activation.
    layout : Layout or None
        Which axis holds the channels, None where that cannot be told.
    cost : float
        Share of the whole network's work that is done when this layer is reached.
    """

    name: str
    module: str
    side: str
    calls: int
    shape: tuple[int, ...]
    layout: Layout | None
    cost: float

    def pooling(self, asked: str) -> str:
        """Resolve "auto", and refuse a pooling that makes no sense here."""
        chosen = _pooling.automatic(self.shape, self.layout) if asked == "auto" else asked
        chosen = str.__str__(chosen)  # a member of a str enum is its value
        reason = _pooling.why_not(chosen, self.shape, self.layout)
        if reason is not None:
            raise LayerError(f"pooling={chosen!r} cannot be used at layer {self.name!r}: {reason}.")
        return chosen

    def width(self, pooling: str) -> int:
        """Count the columns that a pooling gives here."""
        return _width(pooling, self.shape, self.layout)

    def allowed(self, poolings: Sequence[str]) -> list[str]:
        """Choose those of some poolings that make sense here."""
        return [*_allowed(tuple(poolings), self.shape, self.layout)]


@remembered("widths of layers", maxsize=4096)
def _width(pooling: str, shape: tuple[int, ...], layout: Layout | None) -> int:
    return _pooling.width(pooling, shape, layout)


@remembered("poolings that suit layers", maxsize=4096)
def _allowed(
    poolings: tuple[str, ...], shape: tuple[int, ...], layout: Layout | None
) -> tuple[str, ...]:
    if len(shape) == 1:
        return ("flatten",)
    return tuple(
        p
        for p in poolings
        if not parsed(p).has_weights and _pooling.why_not(p, shape, layout) is None
    )


@dataclass(frozen=True)
class Plan:
    """The layers of one network, in the order in which they are reached.

    Parameters
    ----------
    name : str
        The network.
    layers : dict of str to Layer
        Every layer by its name.
    stages : tuple of str
        The main stages, which integers and depths count.
    flops : float
        Floating-point operations of the whole network over one item.
    unread : dict of str to str
        Main stages that cannot be read, and why.
    """

    name: str
    layers: dict[str, Layer]
    stages: tuple[str, ...]
    flops: float
    unread: dict[str, str] = field(default_factory=dict)

    def resolve(self, layer: Any) -> tuple[Layer, ...]:
        """Turn what a user may write (name, int, depth, or a list) into layers."""
        asked = layer if isinstance(layer, list | tuple) else [layer]
        if not asked:
            raise LayerError("layer=[] is empty; name at least one layer.")
        return tuple(self._one(one) for one in asked)

    def _one(self, asked: Any) -> Layer:
        n = len(self.stages)
        if isinstance(asked, str):
            if asked in self.layers:
                return self.layers[asked]
            if asked in self.unread:
                readable = [name for name in self.stages if name in self.layers]
                raise LayerError(
                    f"{asked} of {self.name} cannot be read: {self.unread[asked]}. Those that can "
                    f"are {', '.join(readable) or 'none'}, and {PENULTIMATE!r}."
                )
            near = difflib.get_close_matches(asked, self.layers, n=3, cutoff=0.0)
            raise LayerError(
                f"{self.name} has no layer {asked!r}. The nearest names are "
                f"{', '.join(map(repr, near))}; list_layers({self.name!r}) shows the main ones."
            )
        if isinstance(asked, bool) or not isinstance(asked, Real):
            raise LayerError(
                "layer must be a name, an int, a float in (0, 1], or a list of them, "
                f"got {asked!r}."
            )
        if isinstance(asked, Integral):
            index = int(asked)
            if not -n <= index < n:
                raise LayerError(
                    f"layer={asked} is out of range: {self.name} has {n} main stages, "
                    f"0 to {n - 1} or -{n} to -1."
                )
            return self._one(self.stages[index])
        depth = float(asked)
        if not 0.0 < depth <= 1.0:
            raise LayerError(
                f"layer={asked} is not a valid relative depth: a float must be in (0, 1]."
            )
        return self._one(self.stages[max(0, math.ceil(depth * n - 1e-9) - 1)])


_plans: OrderedDict[tuple[str, ...], Plan] = OrderedDict()
_plans_lock = threading.Lock()
_MOST_PLANS = 64
keep(f"{__name__}._plans", "plans of layers", clear=_plans.clear, size=_plans.__len__)


@in_children
def _after_fork() -> None:
    """Give a forked child a lock that nobody holds."""
    global _plans_lock  # noqa: PLW0603  the parent may hold the old one
    _plans_lock = threading.Lock()


def plan(backbone: Any) -> Plan:
    """Plan a backbone's layers, once in a process for each architecture and input size."""
    key = (backbone.architecture, backbone.code, key_of_hooks())
    with _plans_lock:
        if key in _plans:
            _plans.move_to_end(key)
            return _plans[key]
    with torch.inference_mode(mode=False):
        made = _make(backbone)
    with _plans_lock:
        _plans[key] = made
        while len(_plans) > _MOST_PLANS:
            _plans.popitem(last=False)
    return made


def _make(backbone: Any) -> Plan:
    try:
        network = backbone.skeleton(grown=False)
        seen = trace(
            network,
            lambda net: backbone.rehearse(net, _BATCH, grown=False),
            shortcuts=not backbone.names_hidden_states,
        )
    except (LayerError, MissingExtraError, WeightsError):
        raise  # it says what is wrong
    except Exception as error:
        why = _ASKS_FOR_VALUES if _asks_for_values(error) else f"on inputs of this shape: {error}"
        raise ValueError(f"{backbone.name} cannot be run {why}") from error
    try:
        larger = backbone.skeleton(grown=True) if backbone.grows_by_rebuilding else network
        grown = trace(
            larger, lambda net: backbone.rehearse(net, _BATCH + 1, grown=True), costs=False
        )
    except Exception:
        grown = None
    found = layouts(
        seen,
        grown,
        growth=backbone.growth,
        batch=_BATCH,
        first=backbone.first_token_is_class,
        class_token=backbone.has_class_token(network),
    )
    total = max(seen.total, 1)
    layers = {
        visit.name or OUTPUT: Layer(
            visit.name or OUTPUT, visit.name, "output", visit.calls, visit.shape[1:],
            found[visit.name], visit.ended / total,
        )
        for visit in seen.visits
    }  # fmt: skip
    named = backbone.classifier(network)
    known = seen.by_name.get(named) if named else None
    top = (known or head(seen)) if backbone.has_head else None
    last = layers[OUTPUT]
    unread: dict[str, str] = {}
    # Pegasus-X names its last one together with its global tokens.
    states = [first_tensor(state) for state in backbone.hidden_states(seen.output)]
    if states:
        hidden = _hidden(hidden_states(seen, states, found), total, unread)
        layers |= hidden
        main = tuple(f"hidden_{i}" for i in range(len(states)))
        if seen.by_name[""].output == id(states[-1]):  # not so where a normalisation comes behind
            last = hidden.get(main[-1], last)
    else:
        main = tuple(visit.name for visit in stages(seen, top))
    named = {
        name: _place(name, place, seen, found) for name, place in backbone.places(network).items()
    }
    main = tuple(name for name in named if name.startswith("hidden_")) or main
    if PENULTIMATE in named:
        pass
    elif top is None:
        layers[PENULTIMATE] = Layer(
            PENULTIMATE, last.module, "output", last.calls, last.shape, last.layout, last.cost
        )
    else:
        source = next((v.name for v in seen.visits if v.output in top.inputs), None)
        layout = found.get(source) if source is not None else None
        if len(top.in_shape) == 2 or issubclass(top.kind, nn.Conv2d):  # noqa: PLR2004
            layout = Layout(1)
        elif layout is None and issubclass(top.kind, nn.Linear):
            layout = Layout(len(top.in_shape) - 1)
        layers[PENULTIMATE] = Layer(
            PENULTIMATE, top.name, "input", top.calls, top.in_shape[1:], layout,
            top.started / total,
        )  # fmt: skip
    flops = seen.total / _BATCH
    return Plan(backbone.name, layers | named, main or (OUTPUT,), flops, unread)


_ASKS_FOR_VALUES = (
    "without its weights, as is done to learn its layers: its forward takes another way for other "
    "values, such as those by which a mixture chooses its experts. Choose a network whose forward "
    "does not."
)


def _asks_for_values(error: BaseException | None) -> bool:
    """Tell whether something failed because the meta device has shapes and no values."""
    while error is not None:
        if isinstance(error, NotImplementedError) and "meta" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _place(
    name: str, place: tuple[str, str], seen: Trace, found: Mapping[str, Layout | None]
) -> Layer:
    """Describe a submodule's output or input, under a name of the backbone's choosing.

    A block's input has the form of its output.
    """
    module, side = place
    visit = seen.by_name[module]
    shape, done = (
        (visit.shape, visit.ended) if side == "output" else (visit.in_shape, visit.started)
    )
    layout = found[module] if shape == visit.shape else Layout(1) if len(shape) == 2 else None  # noqa: PLR2004
    return Layer(name, module, side, visit.calls, shape[1:], layout, done / max(seen.total, 1))


def _hidden(states: Sequence[Hidden], total: int, unread: dict[str, str]) -> dict[str, Layer]:
    """Describe the hidden states that can be read, and note why others cannot."""
    made = {}
    for i, state in enumerate(states):
        name, place = f"hidden_{i}", state.place
        if state.reason or place is None:
            unread[name] = state.reason
        else:
            made[name] = Layer(
                name, place.module, place.side, place.call, state.shape, state.layout,
                place.done / total,
            )  # fmt: skip
    return made
