"""A network's self-attention modules → the same with torch's blockwise attention kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ....taps import is_input_read, is_output_read, is_plain
from ._linears import Linear, is_worth_it, packed


def attend_blockwise(network: nn.Module) -> None:
    """Give each `nn.MultiheadAttention` a faster forward.

    It serves self-attention without masks whose weights nobody asks for, and hands every other
    call to the module's own forward.
    """
    for module in network.modules():
        if type(module) is nn.MultiheadAttention and _is_usual(module):
            module.forward = _forward(module)  # type: ignore[method-assign]


def _is_usual(module: nn.MultiheadAttention) -> bool:
    return (
        not module.training
        and module.in_proj_weight is not None  # query, key and value of one width
        and module.bias_k is None
        and not module.add_zero_attn
        and module.embed_dim == module.num_heads * module.head_dim
        and is_plain(module)
    )


def _linear(weight: Tensor, bias: Tensor | None) -> Linear:
    if is_worth_it(weight.dtype):
        return packed(weight, bias)
    return lambda x: F.linear(x, weight, bias)


def _forward(module: nn.MultiheadAttention) -> Callable[..., Any]:
    itself = module.forward
    project_in = _linear(module.in_proj_weight, module.in_proj_bias)
    project_out = _linear(module.out_proj.weight, module.out_proj.bias)
    heads, size = module.num_heads, module.head_dim

    def forward(  # noqa: PLR0917  the signature of the class
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,  # noqa: FBT001, FBT002
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,  # noqa: FBT001, FBT002
        is_causal: bool = False,  # noqa: FBT001, FBT002
    ) -> Any:
        is_ours = (
            query is key
            and key is value
            and not (need_weights or is_causal)
            and key_padding_mask is None
            and attn_mask is None
            and query.dim() == 3  # noqa: PLR2004
            and not query.is_nested
            and not (is_input_read(module.out_proj) or is_output_read(module.out_proj))
        )
        if not is_ours:
            return itself(
                query,
                key,
                value,
                key_padding_mask=key_padding_mask,
                need_weights=need_weights,
                attn_mask=attn_mask,
                average_attn_weights=average_attn_weights,
                is_causal=is_causal,
            )
        x = query if module.batch_first else query.transpose(0, 1)
        n, length, _ = x.shape
        parts = project_in(x).view(n, length, 3, heads, size).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        out = project_out(attended.transpose(1, 2).reshape(n, length, heads * size))
        return (out if module.batch_first else out.transpose(0, 1)), None

    return forward
