"""A loaded network → a copy that shares its tensors and may be rearranged."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


def shared_copy(network: nn.Module) -> nn.Module:
    """Copy everything in a network except its tensors, which both share and neither may write to.

    Nobody sees the copy until it takes the network's place, so whatever fails or is interrupted
    before that leaves nothing behind.
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
