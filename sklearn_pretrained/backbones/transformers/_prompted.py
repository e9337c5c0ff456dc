"""Texts → tokens, with the prompt in front of each text; and how many of them are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...exceptions import BadItemError
from ...inputs._digest import of_text
from ...process import remembered
from ._token_batches import Tokens
from ._tokenizer import Piece, Text, TextTokenizer

_MOST_REMEMBERED = 1 << 17  # some 15 MB
Read = Sequence[tuple[Tokens, bool] | BadItemError]


@dataclass(frozen=True)
class PromptedTexts:
    """What turns texts into an encoder's samples.

    Parameters
    ----------
    tokenizer : TextTokenizer
        Set for the length.
    settings : str
        All that decides its tokens, besides length and prompt.
    prompt : str
        The text that is put before every text.
    truncation : {"warn", "cut", "error"}
        How texts that are longer than the length are handled.
    """

    tokenizer: TextTokenizer
    settings: str
    prompt: str
    truncation: str

    def prepare(self, texts: Sequence[Any]) -> list[Any]:
        """Turn texts into tokens; a text that cannot be read comes back as its error."""
        read = self._read(texts)
        if self.truncation == "warn":
            self._remember([*map(of_text, texts)], read)
        return [self._sample(one) for one in read]

    def pieces(self, text: Text) -> list[Piece]:
        """Return what each token stands for, those of the prompt among them."""
        return self.tokenizer.pieces(self._prompted(text))

    def count_cut(self, texts: Iterable[tuple[bytes, Text]]) -> int:
        """Count the texts that are cut, given by digest and content, whether read here or not."""
        listed = list(texts)
        known = self._known()
        told = {digest: known.get(digest) for digest, _ in listed}
        unseen = {digest: text for digest, text in listed if told[digest] is None}
        if unseen:
            told |= self._remember(list(unseen), self._read(list(unseen.values())))
        return sum(bool(told[digest]) for digest, _ in listed)

    def _read(self, texts: Sequence[Text]) -> Read:
        return self.tokenizer.read([*map(self._prompted, texts)])

    def _prompted(self, text: Text) -> Text:
        return (self.prompt + text[0], text[1]) if isinstance(text, tuple) else self.prompt + text

    def _sample(self, read: tuple[Tokens, bool] | BadItemError) -> Tokens | BadItemError:
        if isinstance(read, BadItemError):
            return read
        tokens, is_cut = read
        if is_cut and self.truncation == "error":
            return BadItemError(
                f"is longer than {self.tokenizer.max_length} tokens; shorten it, raise max_length, "
                "or pass truncation='cut'"
            )
        return tokens

    def _known(self) -> dict[bytes, bool]:
        return cut_texts(self.settings, self.tokenizer.max_length, self.prompt)

    def _remember(self, digests: list[bytes], read: Read) -> dict[bytes, bool]:
        known = self._known()
        if len(known) > _MOST_REMEMBERED:
            known.clear()
        pairs = zip(digests, read, strict=True)
        fresh = {digest: isinstance(one, tuple) and one[1] for digest, one in pairs}
        known.update(fresh)
        return fresh


@remembered("which texts were cut", maxsize=16)
def cut_texts(settings: str, max_length: int, prompt: str) -> dict[bytes, bool]:  # noqa: ARG001
    """Return what is known of texts by their digests, for a tokenizer, a length and a prompt."""
    return {}
