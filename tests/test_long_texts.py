"""Long texts → the tokens that the whole of them would give, and the same words about them."""

from __future__ import annotations

import dataclasses
import time
import tracemalloc
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from sklearn_pretrained import FeatureCache, PretrainedTextFeaturizer, memory_cache
from sklearn_pretrained.backbones import find_text
from sklearn_pretrained.backbones.transformers import _beginnings, _tokenizer
from sklearn_pretrained.backbones.transformers._tokenizer import TextTokenizer
from sklearn_pretrained.exceptions import BadItemError, TruncationWarning

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
QWEN = min(_beginnings._WORDS)
PIECES = [
    *("the", "cat's", "naïve", "STRASSE", "12345", "中文字", "한글", "e\u0301", "\u0301", "ﬁ", "…"),
    *(" ", "  ", " \u0301", "\n", "\r\n ", "\t", ".", "!!", "'ll", "_", "\u00a0", "\u3000", "👩‍👧"),
    *("[SEP]", "\u0d4e", "\x1c", "\u200b", "☕"),
]
TEXT = st.lists(st.sampled_from([*PIECES, *" " * 9]), min_size=30, max_size=80).map("".join)


def _trained(model, trainer, pre_tokenizer, normalizer=None) -> Tokenizer:
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        made.normalizer = normalizer
    made.train_from_iterator([" ".join(PIECES), "the cat sat on the mat " * 4], trainer)
    return made


def _bpe(pre_tokenizer, normalizer=None) -> Tokenizer:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    return _trained(models.BPE(), trainer, pre_tokenizer, normalizer)


def _unigram(pre_tokenizer, normalizer) -> Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=90, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    return _trained(models.Unigram(), trainer, pre_tokenizer, normalizer)


def _both(first, second):
    return pre_tokenizers.Sequence([first, second])


BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
SPACES = normalizers.Replace(Regex(" {2,}"), " ")
LOCAL = {
    "BERT's": lambda: find_text(MINILM)._texts.backend,
    "GPT-2's": lambda: _bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC()),
    "Qwen's": lambda: _bpe(_both(pre_tokenizers.Split(Regex(QWEN), "isolated"), BYTES)),
    "XLM-R's": lambda: _unigram(
        _both(pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()),
        normalizers.Sequence([normalizers.NFKC(), SPACES]),
    ),
    "T5's": lambda: _unigram(pre_tokenizers.Metaspace(), SPACES),
}
OTHER = {
    "words over spaces": lambda: _unigram(pre_tokenizers.Metaspace(split=False), SPACES),
    "no words": lambda: _bpe(BYTES),
    "words of an unknown kind": lambda: _bpe(
        _both(pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated"), BYTES)
    ),
    "unknown replacements": lambda: _unigram(
        pre_tokenizers.Metaspace(), normalizers.Replace("e c", "E")
    ),
}


def _reader(backend: Tokenizer, length: int, *, direction: str = "right") -> TextTokenizer:
    backend = Tokenizer.from_str(backend.to_str())
    backend.enable_truncation(length, direction=direction)
    return TextTokenizer(backend, length, 0, types=False, is_local=_beginnings.is_local(backend))


@pytest.mark.parametrize("kind", LOCAL)
def test_the_beginning_of_a_text_gives_the_tokens_of_the_whole(kind, monkeypatch):
    """Wherever words, spaces, marks and line breaks fall, for each known kind of tokenizer."""
    monkeypatch.setattr(_tokenizer, "_LETTERS_FOR_A_TOKEN", 1)
    backend = LOCAL[kind]()
    readers = [_reader(backend, length) for length in (4, 9)]
    assert all(reader.is_local for reader in readers)
    cut = 0

    @settings(max_examples=150, deadline=None)
    @given(TEXT)
    def check(text) -> None:
        nonlocal cut
        for reader in readers:
            whole = dataclasses.replace(reader, is_local=False)
            cut += reader._beginning(text, reader.max_length) != text

            def told(one):
                return one if isinstance(one, tuple) else str(one)

            assert told(reader.read([text])[0]) == told(whole.read([text])[0])

    check()
    assert cut > 20


@pytest.mark.parametrize("kind", OTHER)
def test_where_nothing_is_proved_the_whole_text_is_read(kind):
    """Words that reach over spaces, and parts that nobody knows."""
    assert not _beginnings.is_local(_reader(OTHER[kind](), 9).backend)


def test_a_text_that_is_cut_at_its_front_is_read_whole():
    """Its last tokens are wanted."""
    assert not _reader(LOCAL["GPT-2's"](), 9, direction="left").is_local
    custom = _bpe(pre_tokenizers.ByteLevel())
    custom.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(object())
    assert not _beginnings.is_local(custom)


def test_fifty_million_letters_take_no_longer_than_a_few():
    """Neither time nor memory grows with what is cut away."""
    text = "spring rain falls softly, " * 2_000_000
    backbone = find_text(MINILM)
    backbone.prepare(["warm up"])
    tracemalloc.start()
    started = time.perf_counter()
    sample = backbone.prepare([text])[0]
    took = time.perf_counter() - started
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(sample["input_ids"]) == 256
    assert took < 2
    assert most < 2 * len(text)  # its digest takes its bytes


# -- what is said of them


LONG = ["spring rain " * 400, "short", "spring rain " * 500]


def _heard(call) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in seen if one.category is TruncationWarning]


@pytest.mark.parametrize("kind", ["memory", "file", "none"])
def test_a_cache_changes_nothing_in_what_is_said_of_long_texts(kind, tmp_path):
    """The same texts give the same warning and the same error, whether their rows are known."""
    cache = {"memory": "memory", "file": FeatureCache(tmp_path / "rows.sqlite"), "none": None}[kind]
    memory_cache().clear()
    options = {"cache": cache, "device": "cpu", "layer": 0, "max_length": 16}

    def error(X) -> str:
        with pytest.raises(BadItemError) as raised:
            PretrainedTextFeaturizer(truncation="error", **options).fit_transform(X)
        return str(raised.value)

    unknown = error(LONG)
    first = _heard(lambda: PretrainedTextFeaturizer(**options).fit_transform(LONG))
    again = _heard(lambda: PretrainedTextFeaturizer(**options).fit_transform(LONG))
    PretrainedTextFeaturizer(truncation="cut", **options).fit_transform(LONG[::-1])

    assert first == again
    assert "2 texts were longer than 16 tokens" in first[0]
    assert error(LONG) == unknown
    assert "Item 0 of X is longer than 16 tokens" in unknown
    PretrainedTextFeaturizer(truncation="error", **options).fit_transform(["short"])
