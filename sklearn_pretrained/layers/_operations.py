"""An operation and its arguments → how many floating-point operations it is."""

# `torch.utils.flop_counter` knows this too, but it imports Triton, and for that the first row would
# have to wait.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_aten = torch.ops.aten
_PRODUCTS = {_aten.mm: 0, _aten.bmm: 0, _aten.addmm: 1, _aten.baddbmm: 1}
"""Matrix products, and which argument is the left matrix."""
_CONVOLUTIONS = {_aten.convolution, _aten._convolution}  # noqa: SLF001
_ATTENTIONS = {
    getattr(_aten, f"_scaled_dot_product_{kind}")
    for kind in (
        "flash_attention",
        "flash_attention_for_cpu",
        "efficient_attention",
        "cudnn_attention",
    )
}


def floating_point_operations(func: Any, args: Any, out: Any) -> int:
    """Count multiplications and additions of matrix products, convolutions and attention."""
    kind = getattr(func, "overloadpacket", func)
    if kind in _PRODUCTS:
        return 2 * out.numel() * int(args[_PRODUCTS[kind]].shape[-1])
    if kind in _CONVOLUTIONS:
        x, weight, transposed = args[0], args[1], args[6]
        places: Tensor = x if transposed else out
        return 2 * places.numel() // int(places.shape[1]) * weight.numel()
    if kind in _ATTENTIONS:
        query, key, value = args[:3]
        scores = query.numel() // int(query.shape[-1]) * int(key.shape[-2])
        return 2 * scores * int(query.shape[-1] + value.shape[-1])
    return 0
