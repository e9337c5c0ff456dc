"""Attention over any number of axes → over four: batch, heads, places and numbers.

ONNX's operator has four, and torch's exporter refuses others, such as windows beside the heads.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_AXES = 4


class AttentionOverFourAxes(TorchFunctionMode):
    """While it is entered, torch attends over four axes, with the same result."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Lay the axes of attention out, and leave all else as it is."""
        if func is functional.scaled_dot_product_attention:
            return _attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    *args: Any,
    **how: Any,
) -> Tensor:
    attend = functional.scaled_dot_product_attention
    if all(one.ndim == _AXES for one in (query, key, value)):
        return attend(query, key, value, attn_mask, *args, **how)
    if attn_mask is not None:
        attn_mask = _laid_out(attn_mask.expand(*query.shape[:-1], key.shape[-2]))
    rows = attend(_laid_out(query), _laid_out(key), _laid_out(value), attn_mask, *args, **how)
    return rows.reshape(*query.shape[:-1], value.shape[-1])


def _laid_out(x: Tensor) -> Tensor:
    """Make one axis of those between the batch and the places; put missing ones in front."""
    return x[(None,) * (_AXES - x.ndim)] if x.ndim < _AXES else x.flatten(1, -3)
