"""A tokenizer and a text without white space → a beginning with the first tokens of the whole.

A text in Chinese, or 50 MB of base64, is one word to most tokenizers, and where a word is cut its
last tokens change. How far back they change is proved, not assumed: the tokens of a word, up to
where one of them ends, are those of what lies before that place alone, and since no token is longer
than the longest of the vocabulary, one of them ends within each stretch of that length. If all
places of a stretch give the same first tokens, whatever follows, the whole word has them.

A model of whole words (WordPiece) takes every word beyond some length for an unknown one; such a
word may be as short as that.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

# Letters that neither join nor change their neighbours, whatever the normalisation.
_PLAIN = (
    "A-Za-z0-9\u00c0-\u00d6\u00d8-\u00f6\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9\u0410-\u044f"
    "\u05d0-\u05ea\u0e01-\u0e30\u3041-\u3096\u30a1-\u30fa\uac00-\ud7a3"
)
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
_WITHIN_A_WORD = re.compile(f"(?<=[{_PLAIN}{_CHINESE}])(?=[{_PLAIN}{_CHINESE}])")
_OF_WORDS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Metaspace"}
"""What splits no run of letters and digits."""
_QUIET = 8  # letters before a cut: no apostrophe, whose ending may be a word with it
_LOOKED_AT = 2000  # letters in which a place for a cut is sought
_TRIED = 4  # places, since a letter that is unknown to the model spoils one


class LongWords:
    """What tells of a tokenizer where long words may be cut.

    Parameters
    ----------
    backend : tokenizers.Tokenizer
        One whose words depend on nothing behind the white space that ends them.
    parts : dict
        What its file says.
    splitters : set of str
        What splits its texts into words.
    """

    def __init__(self, backend: Any, parts: dict[str, Any], splitters: set[str]) -> None:
        self._backend = backend
        model = parts["model"]
        ends_tell = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
        whole = all(token["special"] for token in parts["added_tokens"])
        self._may_be_cut = model["type"] in {"BPE", "Unigram"} and not ends_tell and whole
        self._overlong: re.Pattern[str] | None = None
        if model["type"] == "WordPiece" and whole and splitters <= _OF_WORDS:
            most = 2 * model["max_input_chars_per_word"]
            begun = f"(?<![{_PLAIN}])[{_PLAIN}]{{{most}}}"
            self._overlong = re.compile(f"({begun})[{_PLAIN}]+([{_PLAIN}]{{{_QUIET}}})")

    @functools.cached_property
    def _longest(self) -> int:
        return max(map(len, self._backend.get_vocab(with_added_tokens=False)))

    def shortened(self, text: str) -> str:
        """Shorten words that are unknown for their length."""
        return self._overlong.sub(r"\1\2", text) if self._overlong else text

    def beginning(self, text: str, letters: int, wanted: int) -> str | None:
        """Cut a text in a word; None where it isn't proved that more tokens than wanted stay."""
        if not self._may_be_cut or letters * self._longest > len(text):  # to read it costs less
            return None
        for start in range(letters, letters + _TRIED * self._longest, self._longest):
            end = next((at for at in _places(text, start) if _is_quiet(text, at)), None)
            if end is not None and self._is_proved(text[:end], wanted + 1):
                return text[:end]
        return None

    def _is_proved(self, begun: str, wanted: int) -> bool:
        *before, word = self._words(begun)
        sure = 0
        for one in before:
            sure += len(self._tokens(one))
            if sure >= wanted:
                return True
        places = range(len(word) - self._longest, len(word))
        if places.start <= self._longest or not all(map(self._is_known, word[places.start :])):
            return False
        first = self._tokens(word)[: wanted - sure]
        return len(first) == wanted - sure and all(
            self._tokens(word[:end])[: len(first)] == first for end in places
        )

    def _words(self, text: str) -> list[str]:
        """Split a text as the tokenizer does; what is a letter to its model may be a byte."""
        if self._backend.normalizer is not None:
            text = self._backend.normalizer.normalize_str(text)
        return [word for word, _ in self._backend.pre_tokenizer.pre_tokenize_str(text)]

    def _tokens(self, word: str) -> list[int]:
        return [token.id for token in self._backend.model.tokenize(word)]

    def _is_known(self, letter: str) -> bool:
        return self._backend.model.token_to_id(letter) is not None


def _places(text: str, letters: int) -> Any:
    found = _WITHIN_A_WORD.finditer(text, letters, letters + _LOOKED_AT)
    return (match.start() for match in found)


def _is_quiet(text: str, end: int) -> bool:
    """Tell whether only letters, digits and their marks stand right before a place."""
    return all(unicodedata.category(one)[0] in "LNM" for one in text[max(end - _QUIET, 0) : end])
