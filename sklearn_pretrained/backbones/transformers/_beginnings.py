"""A tokenizer and a long text → where the text may be cut, so that its first tokens stay the same.

Tokenising all of a long text, to keep its first 256 tokens, takes minutes and gigabytes. A text is
cut only between a letter and the white space behind it, and only for tokenizers all of whose parts
are known to look no further than that: they normalise letter by letter, split words off at white
space, and read each word for itself. For others nothing is proved, and the whole text is read.
"""

from __future__ import annotations

import json
import re
from typing import Any

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
_END_OF_WORD = re.compile("[^\\W_\u0d4e\U00010000-\U0010ffff](?= )")


def is_local(backend: Any) -> bool:
    """Tell whether a tokenizer's words depend on nothing behind the white space that ends them."""
    try:
        parts = json.loads(backend.to_str())
    except Exception:  # parts in Python cannot be written down
        return False
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


def beginning(text: str, letters: int) -> str:
    """Cut a text behind the first word that ends after so many letters."""
    if len(text) <= letters:
        return text
    found = _END_OF_WORD.search(text, letters)
    return text[: found.end()] if found else text
