"""Texts → tokens, by a folder's tokenizer, which is set once for a length and only read in use.

transformers' tokenizers are set anew by every call, so threads that share one read each other's
lengths. Here each length has a tokenizer of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...exceptions import BadItemError, WeightsError
from ...process import remembered
from . import _loading
from ._beginnings import Beginnings
from ._token_batches import Tokens

Text = str | tuple[str, str]
# A tokenizer needs some hundred bytes for each character, also of those that are cut away.
_LETTERS = 1 << 19
_TRIED = ["a text", "Two  words, [SEP] “quoted”\n\n12.5€ 中文 <s>naïve</s> don't"]


@dataclass(frozen=True)
class Piece:
    """What one token stands for.

    Parameters
    ----------
    text : str
        The part of the text, or the name of a special token.
    is_special : bool
        Whether the tokenizer added it.
    """

    text: str
    is_special: bool


@dataclass(frozen=True)
class TextTokenizer:
    """A tokenizer of a folder, for one length.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
        Set for the length, and never again.
    max_length : int
        Tokens that are read of each text, special ones included.
    least_of_pairs : int
        Special tokens beside a pair.
    types : bool
        Whether the network is told which text of a pair a token is of.
    beginnings : Beginnings
        What cuts long texts where their first tokens stay the same.
    """

    backend: Any
    max_length: int
    least_of_pairs: int
    types: bool
    beginnings: Beginnings

    def read(self, texts: Sequence[Text]) -> list[tuple[Tokens, bool] | BadItemError]:
        """Tokenise texts and pairs of texts, and tell which were cut."""
        made: list[tuple[Tokens, bool] | BadItemError] = []
        texts = [*map(self._readable, texts)]
        for start, portion in _portions([*map(self._beginning, texts)]):
            encoded = self.backend.encode_batch_fast(portion)
            for i, (begun, found) in enumerate(zip(portion, encoded, strict=True), start):
                made.append(self._one(texts[i], self._more(texts[i], begun, found)))
        return made

    def pieces(self, text: Text) -> list[Piece]:
        """Return what each token stands for, in order."""
        pair = text if isinstance(text, tuple) else (text,)
        found = self.backend.encode(*pair)
        made = []
        for token, (start, end), which in zip(
            found.tokens, found.offsets, found.sequence_ids, strict=True
        ):
            text = "" if which is None else pair[which][start:end].strip()
            made.append(Piece(text or token, which is None))
        return made

    def _readable(self, text: Text) -> Text:
        if isinstance(text, tuple):
            return self.beginnings.readable(text[0]), self.beginnings.readable(text[1])
        return self.beginnings.readable(text)

    def _beginning(self, text: Text) -> Text:
        """Cut a long text where its first tokens stay the same."""
        if not isinstance(text, tuple):
            return self.beginnings.first(text, self.max_length)
        # Which text of a pair loses how much depends on the length of the shorter one.
        first, second = text
        if len(first) > len(second):
            return self._longer_than(first, second), second
        return first, self._longer_than(second, first)

    def _longer_than(self, text: str, other: str) -> str:
        """Cut a text so that it has more tokens than can be kept, and than the other has."""
        if not self.beginnings.is_long(text, self.max_length):
            return text
        most = max(self.max_length, self._count(other))
        begun = self.beginnings.first(text, most)
        while len(begun) < len(text) and self._count(begun) <= most:
            begun = self.beginnings.more(text, begun, most)
        return begun

    def _count(self, text: str) -> int:
        """Count the tokens of a whole text, without special ones."""
        found = self.backend.encode(text)
        parts = [found, *found.overflowing]
        return sum(len(part.ids) - sum(part.special_tokens_mask) for part in parts)

    def _more(self, text: Text, begun: Text, found: Any) -> Any:
        """Read on in a text until its beginning holds more tokens than are wanted."""
        while text != begun and not found.overflowing:
            if isinstance(text, tuple) or isinstance(begun, tuple):
                break  # of a pair, enough was read at first
            begun = self.beginnings.more(text, begun, self.max_length)
            found = self.backend.encode_batch_fast([begun])[0]
        return found

    def _one(self, text: Text, encoded: Any) -> tuple[Tokens, bool] | BadItemError:
        if isinstance(text, tuple) and self.max_length <= self.least_of_pairs:
            return BadItemError(
                f"is a pair of texts, for which max_length={self.max_length} leaves no room after "
                f"{self.least_of_pairs} special tokens; raise max_length"
            )
        tokens = {"input_ids": encoded.ids}
        if self.types:
            tokens["token_type_ids"] = encoded.type_ids
        if not encoded.ids:
            return BadItemError(
                "is empty, and this tokenizer adds no special tokens, so there is nothing to encode"
            )
        return tokens, bool(encoded.overflowing)


def _portions(texts: Sequence[Text]) -> Iterator[tuple[int, list[Text]]]:
    """Yield texts that are tokenised in one go, not too long together, and where they begin."""
    start, letters = 0, 0
    for i, text in enumerate(texts):
        length = sum(map(len, text)) if isinstance(text, tuple) else len(text)
        if i > start and letters + length > _LETTERS:
            yield start, list(texts[start:i])
            start, letters = i, 0
        letters += length
    if start < len(texts):
        yield start, list(texts[start:])


@remembered("tokenizers, set for a length", maxsize=16)
def text_tokenizer(
    folder: Path,
    version: str,  # noqa: ARG001
    max_length: int,
    lowers: bool,  # noqa: FBT001
) -> TextTokenizer:
    """Read a folder's tokenizer for a length, once for each ``version`` of its files.

    With ``lowers`` it brings texts to lower case before all else.
    """
    fast = _loading.read_tokenizer(folder)
    if lowers:
        _lower(fast.backend_tokenizer)
    try:
        expected = fast(_TRIED, truncation=True, max_length=max_length, split_special_tokens=True)[
            "input_ids"
        ]
    except Exception as error:  # of a class that wants boxes, or nodes of a page, beside texts
        raise _does_more(folder, fast) from error
    backend = fast.backend_tokenizer
    backend.no_padding()
    backend.enable_truncation(max_length, direction=fast.truncation_side)
    # What a user writes is text: "[CLS]" in an e-mail is five characters, no command.
    backend.encode_special_tokens = True
    if [encoding.ids for encoding in backend.encode_batch_fast(_TRIED)] != expected:
        raise _does_more(folder, fast)
    return TextTokenizer(
        backend,
        max_length,
        fast.num_special_tokens_to_add(pair=True),
        "token_type_ids" in fast.model_input_names,
        Beginnings(backend),
    )


def _lower(backend: Any) -> None:
    """Let a tokenizer begin with lower case, if that is not among its steps already."""
    from tokenizers.normalizers import Lowercase, Sequence

    several: Any = Sequence  # its type does not tell that it can be iterated over
    own = backend.normalizer
    steps = list(own) if isinstance(own, several) else [own] if own is not None else []
    if not any(isinstance(step, Lowercase) for step in steps):
        backend.normalizer = Sequence([Lowercase(), *steps])


def _does_more(folder: Path, tokenizer: Any) -> WeightsError:
    return WeightsError(
        f"The tokenizer in {folder} is a {type(tokenizer).__name__}, which does more with texts "
        "than its tokenizer.json says (such as boxes or entities), and is not supported."
    )
