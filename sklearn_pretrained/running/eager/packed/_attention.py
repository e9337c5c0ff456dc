"""Queries, keys and values of a row of texts → attention in which each text sees only itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ....process import once
from ._segments import Segments, UnpackableError, active

NAME = "sklearn_pretrained_packed"


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    segments: Segments,
    *,
    scale: float | None = None,
    reach: int | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Attend within each text; texts of one length together.

    Parameters
    ----------
    query, key, value : Tensor
        (1, heads, tokens, width); keys and values may be shared by several heads.
    segments : Segments
    scale : float or None
        None is one over the root of the width.
    reach : int or None
        How far to either side a token sees; None is all of its text.
    bias : Tensor or None
        (1, heads, L, L), for the longest text: what is added to a score by the two places.

    Returns
    -------
    Tensor
        (1, tokens, heads, width).
    """
    _, heads, tokens, _ = query.shape

    def found(q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
        return nn.functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=_within(length, reach, bias, query.device),
            scale=scale,
            enable_gqa=k.shape[1] != heads,
        ).transpose(1, 2)

    if segments.lengths == (tokens,):  # a text alone, as a service asks
        return found(query, key, value, tokens).contiguous()
    out = query.new_empty(tokens, heads, value.shape[-1])
    for start, n, length in segments.runs:
        q, k, v = (
            x[0].narrow(1, start, n * length).unflatten(1, (n, length)).transpose(0, 1)
            for x in (query, key, value)
        )
        out.narrow(0, start, n * length).view(n, length, heads, -1).copy_(found(q, k, v, length))
    return out.unsqueeze(0)


def _within(
    length: int, reach: int | None, bias: Tensor | None, device: torch.device
) -> Tensor | None:
    if bias is not None:
        return bias[:, :, :length, :length]
    if reach is None or length <= reach + 1:
        return None
    places = torch.arange(length, device=device)
    return (places[:, None] - places).abs() <= reach


def _interface(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    segments = active()
    if segments is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    unknown = [
        name for name in ("position_bias", "softcap", "s_aux") if options.get(name) is not None
    ]
    if unknown or attention_mask is not None or query.shape[2] != key.shape[2]:
        raise UnpackableError(f"attention with {unknown or 'a mask or other keys'}")
    # transformers counts a window as flash attention does: the token itself and those of one side.
    window = options.get("sliding_window")
    reach = None if window is None else window - 1
    scale = options.get("scaling")
    return attend(query, key, value, segments, scale=scale, reach=reach), None


def _mask(*args: Any, **options: Any) -> Tensor | None:
    """Make no mask for a row of texts, and the usual one otherwise."""
    if active() is not None:
        return None
    from transformers.masking_utils import sdpa_mask

    return sdpa_mask(*args, **options)


@once("transformers knows one more attention function, for texts without padding")
def register() -> None:
    """Tell transformers of this attention, under ``NAME``."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _interface)
    AttentionMaskInterface.register(NAME, _mask)
