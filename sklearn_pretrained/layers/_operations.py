"""An operation and its arguments → how many floating-point operations it is."""

# `torch.utils.flop_counter` knows this too, but it imports Triton, and for that the first row would
# have to wait.

from __future__ import annotations

from typing import Any

# By name, since torch may move or drop the private ones.
_PRODUCTS = {"aten.mm": 0, "aten.bmm": 0, "aten.addmm": 1, "aten.baddbmm": 1}
"""Matrix products, and which argument is the left matrix."""
_CONVOLUTIONS = {"aten.convolution", "aten._convolution"}
_ATTENTIONS = {
    f"aten._scaled_dot_product_{kind}_attention{device}"
    for kind, device in [("flash", ""), ("flash", "_for_cpu"), ("efficient", ""), ("cudnn", "")]
}


def floating_point_operations(func: Any, args: Any, out: Any) -> int:
    """Count multiplications and additions of matrix products, convolutions and attention."""
    name = str(getattr(func, "overloadpacket", func))
    if name in _PRODUCTS:
        return int(2 * out.numel() * args[_PRODUCTS[name]].shape[-1])
    if name in _CONVOLUTIONS:
        x, weight, transposed = args[0], args[1], args[6]
        places = x if transposed else out
        return int(2 * places.numel() // places.shape[1] * weight.numel())
    if name in _ATTENTIONS:
        query, key, value = args[:3]
        scores = query.numel() // query.shape[-1] * key.shape[-2]
        return int(2 * scores * (query.shape[-1] + value.shape[-1]))
    return 0
