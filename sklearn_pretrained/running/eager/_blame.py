"""A network whose rows are not steady → the submodule in which they begin to differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...backbones import Backbone
from ...recipe import precision_of
from ...taps import Listener, listening, tensors, without_autocast
from .._distance import distance, too_far
from ._loaded import LoadedNetwork

Step = tuple[str, list[Tensor], list[Tensor]]


def blame(
    backbone: Backbone, network: LoadedNetwork, samples: Sequence[Any], i: int, *, by_chance: bool
) -> str:
    """Run sample ``i`` alone, and once more or beside the others, and watch each submodule."""
    first = _steps(backbone, network, samples[i : i + 1], 0)
    other = _steps(
        backbone, network, samples[i : i + 1] if by_chance else samples, 0 if by_chance else i
    )
    culprit = _first_to_move(first, other, network)
    name, module = culprit if culprit is not None else ("", network.module)
    return f"{name!r} ({type(module).__name__})" if name else f"{type(module).__name__} itself"


def _steps(
    backbone: Backbone, network: LoadedNetwork, samples: Sequence[Any], i: int
) -> list[Step]:
    """Run a batch, and return what each submodule was given and gave for one of its items."""
    names = {module: name for name, module in network.module.named_modules()}
    batch = backbone.views(backbone.collate(samples, network.device, network.dtype))[0]
    given: list[list[Tensor]] = []
    steps: list[Step] = []

    def of_item(value: Any) -> list[Tensor]:
        found = [x for x in tensors(value) if x.ndim and len(x) == len(samples)]
        return [x[i].detach().clone() for x in found]

    def before(_module: nn.Module, args: Any, kwargs: Any) -> None:
        given.append(of_item((args, kwargs)))

    def after(module: nn.Module, output: Any) -> None:
        steps.append((names[module], given.pop(), of_item(output)))

    listener = Listener(before, after)
    with (
        network.running(),
        torch.inference_mode(),
        without_autocast(),
        listening(dict.fromkeys(names, listener)),
    ):
        backbone.call(network.module, batch)
    return steps


def _first_to_move(
    ones: list[Step], others: list[Step], network: LoadedNetwork
) -> tuple[str, nn.Module] | None:
    """Return the innermost submodule that is given the same twice, and does not give the same."""
    for (name, given, gave), (other, given_too, gave_too) in zip(ones, others, strict=False):
        if name != other:
            return None
        if _agree(given, given_too, network) and not _agree(gave, gave_too, network):
            return name, network.module.get_submodule(name)
    return None


def _agree(ones: list[Tensor], others: list[Tensor], network: LoadedNetwork) -> bool:
    for a, b in zip(ones, others, strict=False):
        if a.ndim != b.ndim:
            return False
        # Padding, if there is some, is behind.
        common = tuple(slice(min(sizes)) for sizes in zip(a.shape, b.shape, strict=True))
        if distance(a[common], b[common]) > too_far(precision_of(network.dtype)):
            return False
    return True
