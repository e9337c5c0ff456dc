"""An encoder, and the length that is asked for → how many tokens of a text it reads.

The most that a network accepts is found without weights. Its embeddings are run over numbers that
are real, while all else stays on the meta device. A table that is asked for one place after
another, from some place on, is one of positions: BERT's begins at 0, RoBERTa's behind its padding
token.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_any, tree_map_only

from ...exceptions import BadItemError
from ...process import keep
from .._skeleton import Weightless
from ._windowed import n_tokens

_TEXTS, _TOKENS = 3, 11
_ATTENTION = {nn.functional.scaled_dot_product_attention, nn.functional.softmax, torch.softmax}
_VALUES = {Tensor.item, Tensor.__bool__, Tensor.__int__}
_UNLIMITED = 1 << 20
_rooms: dict[str, int | None] = {}
keep(
    f"{__name__}._rooms",
    "lengths that networks' positions allow",
    clear=_rooms.clear,
    size=_rooms.__len__,
)


def find_length(backbone: Any, asked: int | None) -> int:
    """Return how many tokens of a text are read: what is asked, or the encoder's own setting.

    Parameters
    ----------
    backbone : TextBackbone
    asked : int or None
    """
    own = backbone.tokenizer.model_max_length
    # A length in the settings of sentence-transformers goes before the tokenizer's.
    usual = backbone.sentence.max_length or own
    positions = (getattr(backbone.config, "max_position_embeddings", None), _room(backbone))
    limits = [n for n in positions if isinstance(n, int) and n > 0]
    most = min([max(usual, own), *limits])
    if asked is None:
        return min(most, usual, _UNLIMITED)
    if asked > most and most < _UNLIMITED:
        raise ValueError(f"max_length={asked}: {backbone.name} accepts at most {most} tokens.")
    if asked <= backbone.tokenizer.num_special_tokens_to_add():
        raise ValueError(f"max_length={asked} leaves no room for text after the special tokens.")
    return asked


def refuse_short(samples: Sequence[Any], config: Any) -> list[Any]:
    """Put an error in the place of each text that has too few tokens for the network."""
    # Funnel fails where a text has two tokens left, or one, in its last block.
    blocks = len(config.block_sizes) if config.model_type == "funnel" else 0
    if blocks < 2:  # noqa: PLR2004
        return list(samples)
    fewest = 2 ** (blocks - 1) + 1
    return [
        one
        if isinstance(one, BadItemError) or n_tokens(one) >= fewest
        else BadItemError(
            f"has {n_tokens(one)} tokens, but this network, which halves a text between its "
            f"blocks, needs at least {fewest}; make the text longer, or leave it out"
        )
        for one in samples
    ]


def _room(backbone: Any) -> int | None:
    """Return how many tokens the network's tables of positions hold."""
    key = backbone.architecture
    if key not in _rooms:
        _rooms[key] = None
        # What cannot be built without weights is refused where its layers are planned.
        with contextlib.suppress(Exception), Weightless():
            _rooms[key] = most_tokens(backbone.empty().eval(), backbone.call)
    return _rooms[key]


class _AttentionError(Exception):
    """Attention begins here, and what comes behind has no positions to look up."""


class _Embeddings(TorchFunctionMode):
    """Notes the numbers that tables are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _ATTENTION:
            raise _AttentionError
        if func is nn.functional.embedding:
            asked, table = (*args, *kwargs.values())[:2]
            if not asked.is_meta:
                self._note(asked, table)
                return torch.empty(*asked.shape, table.shape[1], device="meta")
        if tree_any(lambda x: isinstance(x, Tensor) and x.is_meta, (args, kwargs)):
            if func in _VALUES:
                return func(torch.zeros(()))  # what is asked decides what is masked
            args, kwargs = tree_map_only(Tensor, lambda x: x.to("meta"), (args, kwargs))
        return func(*args, **kwargs)

    def _note(self, asked: Tensor, table: Tensor) -> None:
        rows = asked.reshape(-1, asked.shape[-1])[:, :_TOKENS]  # behind them there may be padding
        first = int(rows[0, 0])
        if len(rows) in {1, _TEXTS} and torch.equal(
            rows, torch.arange(first, first + _TOKENS).expand_as(rows)
        ):
            self.rooms.append(table.shape[0] - first)


def most_tokens(network: Any, call: Callable[[nn.Module, dict[str, Any]], Any]) -> int | None:
    """Return how many tokens a text may have; None where no table of positions says so.

    Parameters
    ----------
    network : nn.Module
        Its weights on the meta device, and its numbers of places real.
    call : callable
        Runs it over tokens.
    """
    for buffer_name, buffer in list(network.named_buffers()):
        if buffer.is_meta and not buffer.is_floating_point():  # the types of tokens
            holder, _, name = buffer_name.rpartition(".")
            setattr(network.get_submodule(holder), name, torch.zeros(buffer.shape).to(buffer.dtype))
    seen = _Embeddings()
    padding = getattr(getattr(network, "config", None), "pad_token_id", None)
    tokens = torch.full((_TEXTS, _TOKENS), 4 if padding == 3 else 3)  # noqa: PLR2004
    # Behind their embeddings some networks need values that are not there.
    with contextlib.suppress(Exception), torch.no_grad(), seen:
        call(network, {"input_ids": tokens})
    return min(seen.rooms, default=None)
