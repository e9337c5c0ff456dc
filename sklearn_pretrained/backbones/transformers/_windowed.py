"""Texts → windows over all of their tokens, each with the special tokens and the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...exceptions import BadItemError
from .._windows import Windows
from ._token_batches import Tokens
from ._tokenizer import Text, TextTokenizer

WHOLE = 1 << 40
"""A length for tokenizers beyond that of every text."""


@dataclass(frozen=True)
class WindowedTexts:
    """What turns texts into an encoder's samples, and long ones into windows.

    Parameters
    ----------
    tokenizer : TextTokenizer
        Set for the length `WHOLE`.
    max_length : int
        Tokens of a window, special ones and prompt included.
    stride : int
        Tokens of a text that a window has in common with the next.
    prompt : str
        The text that is put before every text, and begins every window.
    """

    tokenizer: TextTokenizer
    max_length: int
    stride: int
    prompt: str

    def prepare(self, texts: Sequence[Text]) -> list[Tokens | Windows | BadItemError]:
        """Turn texts into tokens, and those that are longer than a window into several."""
        whole = [
            (self.prompt + text[0], text[1]) if isinstance(text, tuple) else self.prompt + text
            for text in texts
        ]
        pairs = zip(whole, self.tokenizer.read(whole), strict=True)
        return [
            read if isinstance(read, BadItemError) else self._sample(text, read[0])
            for text, read in pairs
        ]

    def find_stride(self, asked: int | None) -> int:
        """Return a quarter of a window's room for text, or what is asked, if that leaves room."""
        room = self.max_length - len(self.tokenizer.backend.encode(self.prompt).ids)
        stride = max(room, 0) // 4 if asked is None else asked
        if stride >= room:
            raise ValueError(
                f"stride={stride} is too large: a window of max_length={self.max_length} has room "
                f"for {room} tokens beside special tokens and prompt, and windows may share at "
                f"most {max(room - 1, 0)} of them."
            )
        return stride

    def _sample(self, text: Text, tokens: Tokens) -> Tokens | Windows | BadItemError:
        n = len(tokens["input_ids"])
        if n <= self.max_length:
            return tokens
        if isinstance(text, tuple):
            return BadItemError(
                f"is a pair of texts of {n} tokens, which is longer than "
                f"max_length={self.max_length}, and pairs are not cut into windows; shorten it, "
                "raise max_length, or pass truncation='cut'"
            )
        lead, tail = self._ends(text)
        room = self.max_length - lead - tail
        if room <= self.stride:
            return BadItemError(
                f"leaves room for {room} tokens in a window of max_length={self.max_length}, "
                f"beside special tokens and prompt, but windows share stride={self.stride}; "
                "lower stride or raise max_length"
            )
        return windows(tokens, lead, tail, room=room, stride=self.stride)

    def _ends(self, text: str) -> tuple[int, int]:
        """Count the tokens that stand before and behind a text's own: special ones, the prompt."""
        encoded: Any = self.tokenizer.backend.encode(text)
        own = [i for i, special in enumerate(encoded.special_tokens_mask) if not special]
        # A token that holds the end of the prompt and the begin of the text is the text's.
        begins = next(i for i in own if encoded.offsets[i][1] > len(self.prompt))
        return begins, len(encoded.ids) - own[-1] - 1


def n_tokens(sample: Tokens | Windows) -> int:
    """Count a text's tokens, those of all its windows."""
    if isinstance(sample, Windows):
        return sum(map(n_tokens, sample.parts))
    return len(sample["input_ids"])


def windows(tokens: Tokens, lead: int, tail: int, *, room: int, stride: int) -> Windows:
    """Cut the tokens between both ends into windows, as transformers' tokenizers do.

    A token that several windows hold counts in the one whose edges are farthest from it.
    """
    n = len(tokens["input_ids"]) - lead - tail
    starts = range(0, n - stride, room - stride)
    end = lead + n
    parts = [
        {
            name: [*of[:lead], *of[lead + start : min(lead + start + room, end)], *of[end:]]
            for name, of in tokens.items()
        }
        for start in starts
    ]
    begins, ends = lead + stride // 2, lead + room - stride + stride // 2
    owned = [
        (begins if k else 0, ends if k + 1 < len(parts) else len(part["input_ids"]))
        for k, part in enumerate(parts)
    ]
    return Windows(parts, owned)
