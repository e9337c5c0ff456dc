"""A network and a call → every run of every submodule: when, inside which other, what it gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..taps import Listener, forget, listening
from ._forms import shapes

Key = tuple[str, int]
"""A submodule's name, and which of its runs in one forward, counted from 1."""


@dataclass(eq=False)
class Run:
    """One run of a submodule in one forward.

    Parameters
    ----------
    key : Key
    inside : Run or None
        The run that it is a part of.
    began, ended : int
        Its place among all beginnings and ends.
    output : object
        What it gave, with shapes in the place of tensors.
    """

    key: Key
    inside: Run | None
    began: int
    ended: int = 0
    output: Any = None

    def within(self, others: set[Key]) -> bool:
        """Tell whether it is a part of one of some runs."""
        outer = self.inside
        while outer is not None:
            if outer.key in others:
                return True
            outer = outer.inside
        return False


def watch(network: nn.Module, call: Callable[[nn.Module], Any]) -> dict[Key, Run]:
    """Run ``call(network)``, and list its submodules' runs in the order in which they began."""
    found: dict[Key, Run] = {}
    open_: list[Run] = []
    counts: dict[str, int] = {}
    clock = iter(range(1 << 62))
    names = {module: name for name, module in network.named_modules()}

    def before(module: nn.Module, _args: Any, _kwargs: Any) -> None:
        name = names[module]
        counts[name] = counts.get(name, 0) + 1
        run = Run((name, counts[name]), open_[-1] if open_ else None, next(clock))
        found[run.key] = run
        open_.append(run)

    def after(_module: nn.Module, output: Any) -> None:
        run = open_.pop()
        run.ended, run.output = next(clock), shapes(output)

    with torch.inference_mode(), listening(dict.fromkeys(names, Listener(before, after))):
        call(network)
    forget(network)  # it is trained, without being heard
    return found
