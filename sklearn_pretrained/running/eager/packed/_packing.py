"""Texts of many lengths → one row of tokens without padding, in which each text sees only itself.

An unchanged encoder of transformers is run over all tokens of a batch as if they were one text. Its
linear layers then work on real tokens only, and its attention is replaced by one that goes text by
text. Whether an encoder may be run so is tried before it is done.
"""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ....backbones.transformers._loading import quietly
from ....taps import shared_copy
from ..._distance import are_alike
from . import _attention, _mpnet
from ._segments import Segments, UnpackableError, active, packed

# Lengths of the texts that an encoder is tried with; two are equal, and none is a multiple of all.
_TRIED = (7, 3, 3, 12, 1)
# The widest window that is worth trying; a text that shows one must be longer.
_WIDEST = 512


def _first_tokens(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Give a pooler the first token of each text, where it would take that of the row."""
    segments = active()
    if segments is None or not args or args[0].shape[:2] != (1, sum(segments.lengths)):
        return None
    return (args[0][0, segments.firsts.to(args[0].device)].unsqueeze(1), *args[1:])


@dataclass(frozen=True)
class Packing:
    """How one encoder is run over rows of tokens.

    Parameters
    ----------
    padding : int or None
        The token from behind whose number positions are counted, and which has that number itself;
        None where a text's positions are 0, 1, 2, …
    types : bool
        Whether the encoder is told each token's type.
    """

    padding: int | None
    types: bool

    def inputs(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Segments]:
        """Take the padding out of a batch."""
        mask = batch["attention_mask"].bool()
        segments = Segments(tuple(mask.sum(1).tolist()))
        is_full = min(segments.lengths) == mask.shape[1]

        def row(x: Tensor) -> Tensor:
            return x.reshape(1, -1) if is_full else x[mask].unsqueeze(0)

        inputs = {name: row(tensor) for name, tensor in batch.items() if name != "attention_mask"}
        if self.padding is None:
            positions = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
        else:
            counted = batch["input_ids"] != self.padding
            positions = counted.cumsum(1) * counted + self.padding
        inputs["position_ids"] = row(positions)
        if self.types and "token_type_ids" not in inputs:
            inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
        return inputs, segments


def find_packing(network: nn.Module, config: Any) -> tuple[nn.Module, Packing] | None:
    """Try whether an encoder gives the same over a row of tokens as over each text alone.

    Parameters
    ----------
    network : nn.Module
        An encoder of transformers on its device; it stays as it is.
    config : PreTrainedConfig

    Returns
    -------
    (nn.Module, Packing) or None
        The encoder with an attention that does both; None where it cannot be packed.
    """
    takes = inspect.signature(network.forward).parameters
    lengths = _lengths(config)
    if "position_ids" not in takes or not lengths:
        return None
    with contextlib.suppress(
        UnpackableError, RuntimeError, ValueError, TypeError, IndexError, AttributeError
    ):
        network = shared_copy(network)
        _replace_attention(network)
        paddings = _paddings(network, config)
        for padding in (None, *paddings):
            packing = Packing(padding, "token_type_ids" in takes)
            if _is_right(network, packing, _tokens(config, lengths, paddings), lengths):
                return network, packing
    return None


def _paddings(network: Any, config: Any) -> list[int]:
    """List the tokens that may be the encoder's padding: its configuration's, and its own."""
    embeddings = getattr(network, "embeddings", None)
    found = (getattr(config, "pad_token_id", None), getattr(embeddings, "padding_idx", None))
    return list(dict.fromkeys(token for token in found if token is not None))


def _lengths(config: Any) -> tuple[int, ...]:
    """Choose lengths of texts to try, of which one is longer than the window; none if too long."""
    if any(getattr(config, name, None) for name in ("attention_window", "attention_type")):
        return ()
    if getattr(config, "is_heterogeneous", False):  # each layer may have a window of its own
        return ()
    window = getattr(config, "sliding_window", None)
    if window is None:
        return () if getattr(config, "local_attention", None) else _TRIED
    if not isinstance(window, int) or window > _WIDEST:
        return ()
    return (*_TRIED, min(2 * window + 3, getattr(config, "max_position_embeddings", _WIDEST)))


def _replace_attention(network: Any) -> None:
    if _mpnet.is_one(network):
        _mpnet.replace_attention(network)
    else:
        _attention.register()
        with quietly():  # some encoders cannot, and say so
            network.set_attn_implementation(_attention.NAME)
    pooler = getattr(network, "pooler", None)
    if pooler is not None:
        pooler.register_forward_pre_hook(_first_tokens)


def _tokens(config: Any, lengths: tuple[int, ...], paddings: list[int]) -> Tensor:
    """Make texts to try, with each padding token in the midst of one, as any other token."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, config.vocab_size, (len(lengths), max(lengths)), generator=generator)
    for place, token in enumerate(paddings, start=2):
        ids[0, place] = token
    return ids


def _is_right(
    network: nn.Module, packing: Packing, tokens: Tensor, lengths: tuple[int, ...]
) -> bool:
    device = next(network.parameters()).device
    mask = (torch.arange(tokens.shape[1]) < torch.tensor(lengths)[:, None]).long()
    batch = {"input_ids": tokens.to(device), "attention_mask": mask.to(device)}
    with torch.inference_mode():
        with packed(None):
            alone = [
                network(**{name: x[i : i + 1, :n] for name, x in batch.items()})
                for i, n in enumerate(lengths)
            ]
        inputs, segments = packing.inputs(batch)
        with packed(segments):
            together = network(**inputs)
    pairs = [
        (together.last_hidden_state[0], torch.cat([one.last_hidden_state[0] for one in alone]))
    ]
    pooled = getattr(together, "pooler_output", None)
    # Some poolers are out of reach and see the row's first token only. Such a layer gives one row
    # where there are several texts, which is noticed where it is read.
    if pooled is not None and len(pooled) != 1:
        pairs.append((pooled, torch.cat([one.pooler_output for one in alone])))
    return all(are_alike(ours, right) for ours, right in pairs)
