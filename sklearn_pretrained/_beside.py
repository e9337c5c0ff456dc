"""A loaded network → another one beside it, of the same tensors, that may be rearranged."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


def beside(network: nn.Module) -> nn.Module:
    """Copy all of a network but its tensors, which both share and neither may write to.

    What is done to the copy is seen by nobody until it is put in the network's place, so whatever
    fails or is interrupted on the way leaves nothing behind.
    """
    memo: dict[int, Any] = {}
    with torch.inference_mode(mode=False), torch.no_grad():
        for parameter in network.parameters():
            if type(parameter) is nn.Parameter:
                memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
        for buffer in network.buffers():
            if type(buffer) is Tensor:
                memo[id(buffer)] = buffer.detach()
        return copy.deepcopy(network, memo)
