"""A network that was just loaded → what applies of all that makes it faster, done to it."""

from __future__ import annotations

import torch
from torch import nn

from . import _linears


def speed_up(network: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Make a frozen network faster without changing its numbers.

    Parameters
    ----------
    network : nn.Module
        On its device. Names, hooks and weights of its modules stay what they are.
    device : torch.device
    dtype : torch.dtype
    """
    if device.type == "cpu" and _linears.is_worth_it(dtype):
        _linears.prepack(network)
