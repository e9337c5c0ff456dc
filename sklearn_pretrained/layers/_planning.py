"""A backbone → its plan, from two forwards without weights or compute."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..backbones import key_of_hooks
from ..exceptions import LayerError, MissingExtraError, WeightsError
from ..process import in_children, keep
from ..taps import Layout, first_tensor
from ._hidden import Hidden, hidden_states
from ._layout import layouts
from ._plan import OUTPUT, PENULTIMATE, Layer, Plan
from ._stages import head, stages
from ._trace import Trace, trace

_BATCH = 2

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
