"""A network and its inputs → what the chosen layers give, in one forward that stops early."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Tap:
    """One place to read.

    Parameters
    ----------
    name : str
        What the result is called.
    module : str
        Dotted name of the submodule; ``""`` is the network itself.
    side : {"output", "input"}
        What it returns, or the first thing it is given.
    calls : int
        Which of the submodule's runs in one forward is read, counted from 1.
    reduce : callable
        Applied at once, before a later in-place operation can overwrite the activation.
    """

    name: str
    module: str
    side: str
    calls: int
    reduce: Callable[[Tensor], Any]


class _EnoughError(Exception):
    """Every tap has been read; what lies deeper need not run."""


def first_tensor(value: Any) -> Tensor | None:
    """Find the activation in what a module gives: a tensor, or the first one inside."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            found = first_tensor(part)
            if found is not None:
                return found
    return None


def read(  # noqa: C901  small closures, each of its own
    network: nn.Module, call: Callable[[nn.Module], Any], taps: Sequence[Tap]
) -> dict[str, Any]:
    """Run ``call(network)`` and return each tap's reduced activation, by name.

    The caller holds the network's lock: hooks are the network's, so two forwards at a time would
    read each other's rows. No hook outlives the call.
    """
    found: dict[str, Any] = {}
    counts = dict.fromkeys((tap.name for tap in taps), 0)
    handles = []

    def take(tap: Tap, value: Any) -> None:
        counts[tap.name] += 1
        if counts[tap.name] != tap.calls:
            return
        tensor = first_tensor(value)
        if tensor is None:
            raise TypeError(f"layer {tap.module!r} gives a {type(value).__name__}, no tensor")
        found[tap.name] = tap.reduce(tensor)
        if len(found) == len(taps):
            raise _EnoughError

    try:
        for tap in taps:
            module = network.get_submodule(tap.module)
            if tap.side == "input":

                def before(_m: nn.Module, args: Any, kwargs: Any, tap: Tap = tap) -> None:
                    take(tap, args or kwargs)

                handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            else:

                def after(_m: nn.Module, _args: Any, output: Any, tap: Tap = tap) -> None:
                    take(tap, output)

                handles.append(module.register_forward_hook(after))
        call(network)
    except _EnoughError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    missing = [tap.name for tap in taps if tap.name not in found]
    if missing:
        raise RuntimeError(f"the forward never reached {missing}")
    return found
