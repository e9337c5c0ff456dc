"""What fit pinned and what is found at use → the same outputs, or an error that says what moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from ..exceptions import LayerError, ProvenanceError

if TYPE_CHECKING:
    from .._outputs import Output
    from ..layers import Plan

_REMEDY = "or fit again (the estimators after this one too, since they learned from the old rows)."
_LONGEST = 80
_MEANING = {
    "code": " That is the network's code and all that it holds besides weights: a hook or forward "
    "that stores activations, in a list for example, changes it at every run; remove it.",
    "hooks": " Those are the hooks that were put on every module of the process, by "
    "torch.nn.modules.module.register_module_forward_hook or its like, and may change any row. "
    "Remove them, or put them there before fit; what they store must not change.",
    "packages_of_hooks": " Those are the packages that the hooks on every module of "
    "the process use.",
}


def copied(value: Any) -> Any:
    """Copy the lists in a parameter, which their owner may change in place."""
    kind = next((kind for kind in (list, tuple) if isinstance(value, kind)), None)
    return value if kind is None else kind(map(copied, value))


def is_same(now: Any, then: Any) -> bool:
    """Tell whether two parameters mean the same: 1 is an index, 1.0 a depth, and True neither."""
    if now is then:
        return True
    if isinstance(now, list | tuple) and isinstance(then, list | tuple):
        return len(now) == len(then) and all(map(is_same, now, then))
    kinds = [
        (isinstance(v, bool), isinstance(v, Integral), isinstance(v, Real)) for v in (now, then)
    ]
    return kinds[0] == kinds[1] and bool(now == then)


def check_parameters(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Refuse parameters that were set, or changed in place, after fit."""
    for name, value in now.items():
        if not is_same(value, then[name]):
            raise ValueError(
                f"{name}={value!r} was set after fit, which pinned {name}={then[name]!r}. Call fit "
                "again, and fit the estimators after this one too."
            )


def check_recipe(
    now: Mapping[str, Any],
    then: Mapping[str, Any],
    *,
    name: str,
    only_common: bool,
    differ: Callable[[], str],
) -> None:
    """Refuse a network that is prepared otherwise than it was at fit.

    With ``only_common``, facts that only one side states are passed over: the two sides were
    written by different versions of this package.
    """
    facts = then.keys() & now.keys() if only_common else then.keys() | now.keys()
    for fact in sorted(facts):
        was, is_ = (_shown(side[fact]) if fact in side else "not stated" for side in (then, now))
        if then.get(fact) != now.get(fact) or (fact in then) != (fact in now):
            raise ProvenanceError(
                f"{name} is not prepared as it was at fit: {fact} was {was}, but is now {is_}."
                f"{_MEANING.get(fact, '')} {differ()} Restore the files, objects and versions used "
                f"at fit, {_REMEDY}"
            )


def pinned_outputs(
    plan: Plan,
    layers: Sequence[str],
    poolings: Sequence[str],
    *,
    width: int | None,
    places: Sequence[str] | None,
) -> list[Output]:
    """Find the outputs that fit pinned; a folder's or a library's later choice changes nothing.

    Raises a `ProvenanceError` where the network no longer has them as they were.
    """
    if missing := [name for name in layers if name not in plan.layers]:
        raise _moved(plan, f"layer {missing[0]!r} no longer exists")
    outputs = [(plan.layers[name], p) for name, p in zip(layers, poolings, strict=True)]
    try:
        outputs = [(layer, layer.pooling(pooling)) for layer, pooling in outputs]
    except LayerError as error:
        raise _moved(plan, str(error)) from error
    if places is not None:
        for then, now in zip(places, places_of(outputs), strict=True):
            if then != now:
                raise _moved(plan, f"the layer was {then}, and is now {now}")
    found = sum(layer.width(pooling) for layer, pooling in outputs)
    if width is not None and found != width:
        raise _moved(plan, f"rows had {width} columns, and would now have {found}")
    return outputs


def places_of(outputs: Sequence[Output]) -> list[str]:
    """Say where each output is read, as precisely as a file can."""
    return [
        f"{layer.name} ({layer.side} of {layer.module or 'the network'}, run {layer.calls}, "
        f"{'×'.join(map(str, layer.shape))}, {pooling})"
        for layer, pooling in outputs
    ]


def _moved(plan: Plan, what: str) -> ProvenanceError:
    return ProvenanceError(
        f"{plan.name} cannot be read as it was at fit: {what}. Restore the files and versions used "
        f"at fit, {_REMEDY}"
    )


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
