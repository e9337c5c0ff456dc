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
from sklearn_pretrained.backbones.transformers import _beginnings
from sklearn_pretrained.backbones.transformers._beginnings import Beginnings
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
    return TextTokenizer(backend, length, 0, types=False, beginnings=Beginnings(backend))


class Whole:
    """What cuts nothing before it is tokenised."""

    def readable(self, text):
        return text

    def first(self, text, _wanted):
        return text

    def is_long(self, _text, _wanted):
        return False


def _differs(reader, texts) -> list:
    """Find texts whose tokens are not those of the whole."""
    whole = dataclasses.replace(reader, beginnings=Whole())
    pairs = zip(texts, reader.read(texts), whole.read(texts), strict=True)
    return [text for text, ours, theirs in pairs if str(ours) != str(theirs)]


@pytest.mark.parametrize("kind", LOCAL)
def test_the_beginning_of_a_text_gives_the_tokens_of_the_whole(kind, monkeypatch):
    """Wherever words, spaces, marks and line breaks fall, for each known kind of tokenizer."""
    monkeypatch.setattr(_beginnings, "LETTERS_FOR_A_TOKEN", 1)
    backend = LOCAL[kind]()
    readers = [_reader(backend, length) for length in (4, 9)]
    assert all(reader.beginnings.is_local for reader in readers)
    cut = 0

    @settings(max_examples=60, deadline=None)
    @given(TEXT, TEXT)
    def check(text, other) -> None:
        nonlocal cut
        for reader in readers:
            cut += reader._beginning(text) != text
            # Pairs lose tokens of the longer text first.
            assert _differs(reader, [text, (text, other), (other[:30], text), (text, "a")]) == []

    check()
    assert cut > 15


LETTERS = st.lists(st.sampled_from("abc"), min_size=90, max_size=200).map("".join)
CHINESE = st.lists(st.sampled_from("中文字典书,。a1"), min_size=90, max_size=200).map("".join)


def _of_parts(model) -> Tokenizer:
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return made


def _any_bpe(data) -> Tokenizer:
    """Join letters in an order that no training would give, so that tokens hang on each other."""
    joined, merges = ["a", "b", "c"], []
    for _ in range(data.draw(st.integers(2, 8))):
        pair = tuple(data.draw(st.sampled_from(joined)) for _ in range(2))
        if len("".join(pair)) <= 4 and "".join(pair) not in joined:
            merges.append(pair)
            joined.append("".join(pair))
    vocabulary = {token: i for i, token in enumerate([*joined, "\u2581"])}
    return _of_parts(models.BPE(vocab=vocabulary, merges=merges))


def _any_unigram(data) -> Tokenizer:
    """Give pieces any weights."""
    pieces = st.text("abc", min_size=2, max_size=4)
    found = ["a", "b", "c", "\u2581", *data.draw(st.sets(pieces, min_size=2, max_size=8))]
    weights = st.floats(-9, -1)
    return _of_parts(models.Unigram([(one, data.draw(weights)) for one in found], unk_id=0))


@pytest.mark.parametrize("any_model", [_any_bpe, _any_unigram])
def test_a_word_is_cut_only_where_its_first_tokens_surely_stay(any_model, monkeypatch):
    """Whatever the vocabulary: no chain of tokens reaches from beyond the cut to what is kept."""
    monkeypatch.setattr(_beginnings, "LETTERS_FOR_A_TOKEN", 2)
    cut = 0

    @settings(max_examples=120, deadline=None)
    @given(LETTERS, st.integers(3, 9), st.data())
    def check(text, length, data) -> None:
        nonlocal cut
        reader = _reader(any_model(data), length)
        cut += reader._beginning(text) != text
        assert _differs(reader, [text, ("ab", text), (text, text + "a")]) == []

    check()
    assert cut > 40


@pytest.mark.parametrize("kind", ["BERT's", "GPT-2's", "Qwen's", "XLM-R's", "T5's"])
def test_texts_without_spaces_give_the_tokens_of_the_whole(kind, monkeypatch):
    """Characters, letters and digits, each for itself and mixed."""
    monkeypatch.setattr(_beginnings, "LETTERS_FOR_A_TOKEN", 1)
    reader = _reader(LOCAL[kind](), 5)
    monkeypatch.setattr(reader.beginnings._long_words, "_longest", 12)  # of tokens of these letters
    texts = []

    @settings(max_examples=60, deadline=None)
    @given(CHINESE | TEXT.map(lambda text: "".join(text.split())))
    def check(text) -> None:
        texts.append(text)
        assert _differs(reader, [text, (text, "a b"), ("中文", text)]) == []

    check()
    assert sum(reader._beginning(text) != text for text in texts) > 2


def test_a_word_that_is_unknown_for_its_length_may_be_shorter(monkeypatch):
    """WordPiece reads no word beyond a hundred letters."""
    monkeypatch.setattr(_beginnings, "FAR", 40)
    reader = _reader(LOCAL["BERT's"](), 6)
    words = ["cat", "а" * 250, "b1" * 300, "é" * 220, "カ" * 400, ".", " "]
    shorter = 0

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.sampled_from(words), min_size=3, max_size=9).map("".join))
    def check(text) -> None:
        nonlocal shorter
        shorter += len(reader.beginnings.readable(text)) < len(text)
        assert _differs(reader, [text, ("a cat", text)]) == []

    check()
    assert shorter > 20


@pytest.mark.parametrize("kind", OTHER)
def test_where_nothing_is_proved_the_whole_text_is_read(kind):
    """Words that reach over spaces, and parts that nobody knows."""
    assert not _reader(OTHER[kind](), 9).beginnings.is_local


def test_a_text_that_is_cut_at_its_front_is_read_whole():
    """Its last tokens are wanted."""
    assert not _reader(LOCAL["GPT-2's"](), 9, direction="left").beginnings.is_local
    custom = _bpe(pre_tokenizers.ByteLevel())
    custom.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(object())
    assert not Beginnings(custom).is_local


@pytest.mark.parametrize("part", ["spring rain falls softly, ", "春雨落花。书", "x7Rq", "ж"])
@pytest.mark.parametrize("is_pair", [False, True])
def test_fifty_million_letters_take_no_longer_than_a_few(part, is_pair):
    """Neither time nor memory grows with what is cut away: sentences, characters, one word."""
    text = part * (50_000_000 // len(part))
    backbone = find_text(MINILM)
    backbone.prepare(["warm up"])
    tracemalloc.start()
    started = time.perf_counter()
    sample = backbone.prepare([("rain", text) if is_pair else text])[0]
    took = time.perf_counter() - started
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    n_words = {"x7Rq": 3, "ж": 3}.get(part, 256)  # an unknown word has one token
    assert len(sample["input_ids"]) == (n_words + 2 * is_pair if n_words == 3 else n_words)
    assert took < 20
    assert most < 2.1 * len(text.encode())  # its digest takes its bytes


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


@pytest.mark.parametrize(
    ("splitter", "added", "shorter"),
    [
        (pre_tokenizers.BertPreTokenizer(), [], True),
        (pre_tokenizers.WhitespaceSplit(), [], True),
        (
            pre_tokenizers.Sequence(
                [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True)]
            ),
            [],
            False,
        ),
        (pre_tokenizers.BertPreTokenizer(), ["covid"], False),
    ],
)
def test_words_unknown_for_their_length_are_shortened_where_they_are_one_word(
    splitter, added, shorter
):
    """Not where digits stand alone, or a token that was added cuts them."""
    vocabulary = {"[UNK]": 0, **{str(i): i + 1 for i in range(10)}}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = splitter
    backend.add_tokens(added)
    backend.enable_truncation(512)
    text = "covid" * 500_000

    read = Beginnings(backend).readable(text)

    assert (len(read) < len(text)) == shorter
    assert backend.encode(read).ids[:512] == backend.encode(text).ids[:512]
