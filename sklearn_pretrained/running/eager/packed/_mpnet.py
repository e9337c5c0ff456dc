"""An MPNet → the same network, able to attend text by text.

MPNet's attention is its own: it adds a bias for the distance between two tokens, and is not asked
for by name. So the forward of each attention is replaced, and so is what makes the bias, which for
a row of tokens would be as large as the row squared.
"""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

from ._attention import attend
from ._segments import active


def is_one(network: Any) -> bool:
    """Tell whether the network is an MPNet."""
    return getattr(network.config, "model_type", "") == "mpnet"


def replace_attention(network: Any) -> None:
    """Let the network attend text by text where texts are packed.

    Parameters
    ----------
    network : MPNetModel
    """
    encoder = network.encoder
    encoder.compute_position_bias = functools.partial(_bias, encoder.compute_position_bias)
    for layer in encoder.layer:
        attention = layer.attention.attn
        attention.forward = functools.partial(_forward, attention, attention.forward)


def _bias(usual: Any, x: Tensor, *args: Any, **options: Any) -> Tensor:
    """Make the bias for the longest text; it depends on distance only, so shorter ones share it."""
    segments = active()
    if segments is not None:
        x = x[:, : max(segments.lengths)]
    return usual(x, *args, **options)


def _forward(
    attention: Any,
    usual: Any,
    hidden_states: Tensor,
    attention_mask: Tensor | None = None,
    position_bias: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, ...]:
    segments = active()
    if segments is None:
        return usual(hidden_states, attention_mask, position_bias, **options)
    shape = (*hidden_states.shape[:-1], -1, attention.attention_head_size)
    query, key, value = (
        part(hidden_states).view(shape).transpose(1, 2)
        for part in (attention.q, attention.k, attention.v)
    )
    found = attend(query, key, value, segments, bias=position_bias)
    return (attention.o(found.flatten(2)),)
