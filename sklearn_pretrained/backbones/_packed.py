"""Texts of many lengths → one row of tokens without padding, in which each text sees only itself.

An unchanged encoder of transformers is run over all tokens of a batch as if they were one text. Its
linear layers then work on real tokens only, and attention, which is asked for by name, is this
module's: text by text. Whether an encoder may be run so is tried before it is done.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ._backbone import UnpackableError
from ._transformers import quietly

NAME = "sklearn_pretrained_packed"
# Lengths of the texts that an encoder is tried with; two are equal, and none is a multiple of all.
_TRIED = (7, 3, 3, 12, 1)
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 5e-3}
_active = threading.local()


@dataclass(frozen=True)
class Segments:
    """Where the texts lie in a row of tokens.

    Parameters
    ----------
    lengths : tuple of int
        Tokens of each text, in order.
    """

    lengths: tuple[int, ...]

    @functools.cached_property
    def runs(self) -> list[tuple[int, int, int]]:
        """First token, number of texts and their length, for each run of texts of one length."""
        found: list[tuple[int, int, int]] = []
        start = 0
        for length in self.lengths:
            if found and found[-1][2] == length:
                first, n, _ = found[-1]
                found[-1] = (first, n + 1, length)
            else:
                found.append((start, 1, length))
            start += length
        return found

    @functools.cached_property
    def firsts(self) -> Tensor:
        """Position of each text's first token."""
        return torch.tensor([0, *self.lengths[:-1]]).cumsum(0)

    @functools.cached_property
    def mask(self) -> Tensor:
        """Which places of the padded form are tokens, (N, L)."""
        lengths = torch.tensor(self.lengths)
        return torch.arange(int(lengths.max())) < lengths[:, None]

    def restore(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Bring (1, tokens, …) into (N, L, …), with zeros behind each text; keep (N, width)."""
        n, longest = len(self.lengths), max(self.lengths)
        if len(shape) == 1 and x.shape[:1] == (n,):
            return x
        if len(shape) == 1 or x.shape[:2] != (1, sum(self.lengths)):
            raise UnpackableError(f"a layer that gives {tuple(x.shape)}")
        if x.shape[1] == n * longest:
            return x.view(n, longest, *x.shape[2:])
        padded = x.new_zeros(n, longest, *x.shape[2:])
        padded[self.mask.to(x.device)] = x[0]
        return padded


@contextmanager
def packed(segments: Segments) -> Iterator[None]:
    """Let this thread's attention see texts, while a network runs over a row of them."""
    _active.segments = segments
    try:
        yield
    finally:
        _active.segments = None


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend within each text; texts of one length together."""
    segments: Segments | None = getattr(_active, "segments", None)
    if segments is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    unknown = [
        name
        for name in ("position_bias", "softcap", "sliding_window", "s_aux")
        if options.get(name) is not None
    ]
    if unknown or attention_mask is not None or query.shape != key.shape:
        raise UnpackableError(f"attention with {unknown or 'a mask or shared heads'}")
    _, heads, tokens, width = query.shape
    out = query.new_empty(tokens, heads, value.shape[-1])
    for start, n, length in segments.runs:
        q, k, v = (
            x[0].narrow(1, start, n * length).unflatten(1, (n, length)).transpose(0, 1)
            for x in (query, key, value)
        )
        found = nn.functional.scaled_dot_product_attention(
            q, k, v, scale=options.get("scaling") or width**-0.5
        )
        out.narrow(0, start, n * length).view(n, length, heads, -1).copy_(found.transpose(1, 2))
    return out.unsqueeze(0), None


def _mask(*args: Any, **options: Any) -> Tensor | None:
    """Make no mask for a row of texts, and the usual one otherwise."""
    if getattr(_active, "segments", None) is not None:
        return None
    from transformers.masking_utils import sdpa_mask

    return sdpa_mask(*args, **options)


@functools.cache
def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _mask)


def _first_tokens(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Give a pooler the first token of each text, where it would take that of the row."""
    segments: Segments | None = getattr(_active, "segments", None)
    if segments is None or not args or args[0].shape[:2] != (1, sum(segments.lengths)):
        return None
    return (args[0][0, segments.firsts.to(args[0].device)].unsqueeze(1), *args[1:])


@dataclass(frozen=True)
class Packing:
    """How one encoder is run over rows of tokens.

    Parameters
    ----------
    first_position : int
        Number of a text's first position; some encoders count from behind their padding token.
    types : bool
        Whether the encoder is told each token's type.
    """

    first_position: int
    types: bool

    def inputs(self, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], Segments]:
        """Take the padding out of a batch."""
        mask = batch["attention_mask"].bool()
        segments = Segments(tuple(mask.sum(1).tolist()))
        inputs = {
            name: tensor[mask].unsqueeze(0)
            for name, tensor in batch.items()
            if name != "attention_mask"
        }
        positions = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)[mask]
        inputs["position_ids"] = (positions + self.first_position).unsqueeze(0)
        if self.types and "token_type_ids" not in inputs:
            inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
        return inputs, segments


def find_packing(network: nn.Module, config: Any) -> Packing | None:
    """Try whether an encoder gives the same over a row of tokens as over each text alone.

    Parameters
    ----------
    network : nn.Module
        An encoder of transformers on its device. When it may be packed, its attention is
        replaced by one that does both.
    config : PreTrainedConfig

    Returns
    -------
    Packing or None
        None where it cannot be packed.
    """
    takes = inspect.signature(network.forward).parameters
    windows = ("sliding_window", "local_attention", "attention_window", "attention_type")
    if "position_ids" not in takes or any(getattr(config, name, None) for name in windows):
        return None
    before = network.config._attn_implementation  # type: ignore[union-attr]
    handle = None
    try:
        _register()
        with quietly():  # some encoders cannot, and say so
            network.set_attn_implementation(NAME)  # type: ignore[operator]
        pooler = getattr(network, "pooler", None)
        if pooler is not None:
            handle = pooler.register_forward_pre_hook(_first_tokens)
        for first in dict.fromkeys((0, (getattr(config, "pad_token_id", None) or 0) + 1)):
            packing = Packing(first, "token_type_ids" in takes)
            if _is_right(network, packing, config):
                return packing
    except (UnpackableError, RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        pass
    with quietly():
        network.set_attn_implementation(before)  # type: ignore[operator]
    if handle is not None:
        handle.remove()
    return None


def _is_right(network: nn.Module, packing: Packing, config: Any) -> bool:
    generator = torch.Generator().manual_seed(0)
    parameter = next(network.parameters())
    longest = max(_TRIED)
    low = min(5, config.vocab_size - 1)  # behind the padding token, in most vocabularies
    ids = torch.randint(low, config.vocab_size, (len(_TRIED), longest), generator=generator)
    mask = (torch.arange(longest) < torch.tensor(_TRIED)[:, None]).long()
    batch = {"input_ids": ids.to(parameter.device), "attention_mask": mask.to(parameter.device)}
    with torch.inference_mode():
        alone = [network(input_ids=batch["input_ids"][i : i + 1, :n]) for i, n in enumerate(_TRIED)]
        inputs, segments = packing.inputs(batch)
        with packed(segments):
            together = network(**inputs)
    pairs = [
        (together.last_hidden_state[0], torch.cat([one.last_hidden_state[0] for one in alone]))
    ]
    if getattr(alone[0], "pooler_output", None) is not None:
        pairs.append((together.pooler_output, torch.cat([one.pooler_output for one in alone])))
    return all(_close(ours, right) for ours, right in pairs)


def _close(ours: Tensor, right: Tensor) -> bool:
    if ours.shape != right.shape:
        return False
    # Row by row, so that a short text with wrong numbers is not lost among the others.
    error = (ours.float() - right.float()).norm(dim=-1) / right.float().norm(dim=-1)
    return bool((error < _TOLERANCE[right.dtype]).all())
