"""A tokenizer and a long text → where the text may be cut, so that its first tokens stay the same.

Tokenising all of a long text, to keep its first 256 tokens, takes minutes and gigabytes. A text is
cut only between a letter and the white space behind it, between two Chinese characters where each
is a word, or in a long word (`_long_words`); and only for tokenizers all of whose parts are known
to look no further than that: they normalise letter by letter, split words off at white space, and
read each word for itself. For others nothing is proved, and the whole text is read.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from ._long_words import LongWords

LETTERS_FOR_A_TOKEN = 16
"""Of a long text are read at first."""
FAR = 1 << 20
"""Letters among which the end of a word is sought."""
_NORMALIZERS = {
    *("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Precompiled"),
}
_PRE_TOKENIZERS = {
    *("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits", "Metaspace"),
}
_SPLITS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Metaspace", "ByteLevel", "Split"}
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = {
    # GPT-4's words and Qwen's, who join line breaks to the punctuation before them and no more.
    rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}{_REST}"
    for digits in ("", "{1,3}")
}
_MODELS = {"WordPiece", "BPE", "Unigram", "WordLevel"}
# Letters beyond the basic plane, and one that joins what is behind it, are not cut behind.
_END = "[^\\W_\u0d4e\U00010000-\U0010ffff](?= )"
_CHINESE = "[\u3400-\u4dbf\u4e00-\u9fff]"
_END_OF_WORD = re.compile(_END)
_END_OF_CHARACTER = re.compile(f"{_END}|{_CHINESE}(?={_CHINESE})")


class Beginnings:
    """What cuts long texts where their first tokens stay the same.

    Parameters
    ----------
    backend : tokenizers.Tokenizer

    Attributes
    ----------
    is_local : bool
        Whether words depend on nothing behind the white space that ends them.
    """

    def __init__(self, backend: Any) -> None:
        self.is_local, self._end = False, _END_OF_WORD
        try:
            parts = json.loads(backend.to_str())
        except Exception:  # parts in Python cannot be written down
            return
        self.is_local = _is_local(parts)
        if _reads_characters(parts):
            self._end = _END_OF_CHARACTER
        self._long_words = LongWords(backend, parts, _splitters(parts))

    def readable(self, text: str) -> str:
        """Shorten words that are unknown for their length, in a text where words are so long."""
        if not self.is_local or len(text) <= FAR:
            return text
        if all(map(partial(self._find, text), range(0, len(text), FAR))):
            return text
        return self._long_words.shortened(text)

    def is_long(self, text: str, wanted: int) -> bool:
        """Tell whether a text may be cut where so many tokens are wanted."""
        return self.is_local and len(text) > 2 * LETTERS_FOR_A_TOKEN * wanted

    def first(self, text: str, wanted: int) -> str:
        """Return a beginning of a text, in which there may be more than so many tokens."""
        if not self.is_long(text, wanted):
            return text
        return self._cut(text, LETTERS_FOR_A_TOKEN * wanted, wanted)

    def more(self, text: str, begun: str, wanted: int) -> str:
        """Return a longer beginning than that which held too few tokens, or the text."""
        return self._cut(text, 8 * len(begun), wanted)

    def _cut(self, text: str, letters: int, wanted: int) -> str:
        found = self._find(text, letters)
        if found:
            return text[: found.end()]
        return self._long_words.beginning(text, letters, wanted) or text

    def _find(self, text: str, letters: int) -> re.Match[str] | None:
        return self._end.search(text, letters, letters + FAR)


def _splitters(parts: dict[str, Any]) -> set[str]:
    return {part["type"] for part in _flat(parts["pre_tokenizer"], "pretokenizers")}


def _is_local(parts: dict[str, Any]) -> bool:
    normalizers = _flat(parts["normalizer"], "normalizers")
    splitters = _flat(parts["pre_tokenizer"], "pretokenizers")
    model = parts["model"]
    return (
        (parts["truncation"] or {}).get("direction") == "Right"
        and all(map(_normalizes_locally, normalizers))
        and all(map(_splits_locally, splitters))
        and any(part["type"] in _SPLITS and part.get("use_regex", True) for part in splitters)
        and model["type"] in _MODELS
        and not model.get("dropout")
        and not any(re.search(r"\s", token["content"]) for token in parts["added_tokens"])
    )


def _reads_characters(parts: dict[str, Any]) -> bool:
    """Tell whether each Chinese character is a word."""
    normalizers = _flat(parts["normalizer"], "normalizers")
    return any(part.get("handle_chinese_chars") for part in normalizers) and not any(
        re.search(_CHINESE, token["content"]) for token in parts["added_tokens"]
    )


def _flat(part: Any, name: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    return [one for inner in part[name] for one in _flat(inner, name)] if name in part else [part]


def _normalizes_locally(part: dict[str, Any]) -> bool:
    if part["type"] == "Replace":
        return part["pattern"].get("Regex") in {" {2,}", r"\s+"}
    return part["type"] in _NORMALIZERS


def _splits_locally(part: dict[str, Any]) -> bool:
    if part["type"] == "Split":
        return part["pattern"].get("Regex") in _WORDS and part["behavior"] == "Isolated"
    if part["type"] == "Metaspace":
        return bool(part.get("split", False))
    return part["type"] in _PRE_TOKENIZERS or part["type"] == "ByteLevel"
