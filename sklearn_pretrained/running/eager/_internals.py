"""What torch keeps under private names and is used here → where, what happens without, a probe.

A release of torch may move any of these. The tests walk over the table, so that a release which did
is named by what it moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..._listeners import Listener, listening
from .fast import is_native
from .fast._convs import packs
from .fast._linears import is_there
from .fast._pairs import flow


@dataclass(frozen=True)
class Internal:
    """Private names of torch that serve one purpose.

    Parameters
    ----------
    names : tuple of str
        The private parts of the names, as they are written in the code.
    purpose : str
    without : str
        What happens in a release that does not have them.
    probe : callable
        Says whether they are there and do what is expected of them.
    """

    names: tuple[str, ...]
    purpose: str
    without: str
    probe: Callable[[], bool]


def _hooks_hear() -> bool:
    heard: list[Any] = []
    module = nn.Identity()
    listener = Listener(
        lambda *given: heard.append(given[2]), lambda _module, gave: heard.append(gave)
    )
    with listening({module: listener}):
        module(input=1)
    module(input=2)
    return heard == [{"input": 1}, 1]


class _Looks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x.add_(1)
        return x if x.sum() > 0 else -x


def _values_are_seen() -> bool:
    looked = [flow(network, lambda net: net(torch.ones(2))) for network in (nn.ReLU(), _Looks())]
    return [seen.looks_at_values for seen in looked] == [False, True]


def _in_place_is_counted() -> bool:
    x = torch.ones(2)
    before = x._version
    x.add_(1)
    return x._version > before


def _convolves() -> bool:
    conv, x = nn.Conv2d(1, 1, 3), torch.ones(1, 1, 5, 5)
    with torch.no_grad():
        return torch.equal(conv._conv_forward(x, conv.weight, conv.bias), conv(x))


def _applies() -> bool:
    return nn.Linear(1, 1)._apply(lambda x: x.double()).weight.dtype == torch.float64


def _says_what_the_processor_can() -> bool:
    return isinstance(is_native(torch.bfloat16, torch.device("cpu")), bool)


INTERNALS = (
    Internal(
        ("_reorder_convolution_weight", "_convolution_pointwise"),
        "convolutions whose weights are laid out for oneDNN, activation included",
        "convolutions run as torch runs them, with the batch norm folded in",
        packs,
    ),
    Internal(
        ("_reorder_linear_weight", "_linear_pointwise"),
        "linear layers through oneDNN, GELU included",
        "linear layers run as torch runs them",
        is_there,
    ),
    Internal(
        ("_conv_forward",),
        "a convolution with another weight than the module's",
        "nothing is folded: the trial fails",
        _convolves,
    ),
    Internal(
        ("_forward_hooks", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
        "hooks set by one assignment each, which no interrupt can split",
        "no layer can be read",
        _hooks_hear,
    ),
    Internal(
        ("_version", "_C"),
        "in-place operations, and looking at tensors without being recorded",
        "nothing is folded: the network cannot be watched",
        _in_place_is_counted,
    ),
    Internal(
        ("_python_dispatch",),
        "operations whose result Python can branch on",
        "the package cannot be imported",
        _values_are_seen,
    ),
    Internal(
        ("_apply",),
        "complex weights in single precision",
        "networks with complex weights cannot be loaded",
        _applies,
    ),
    Internal(
        ("_is_avx512_bf16_supported", "_is_amx_tile_supported"),
        "whether a processor multiplies in bfloat16",
        'dtype="auto" is float32 on processors',
        _says_what_the_processor_can,
    ),
)
