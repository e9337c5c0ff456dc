"""Texts longer than the network reads → one row of windows each, as a plain loop makes it."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import sentence_transformers.sentence_transformer.modules as st_modules
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from sklearn_pretrained import (
    BertCLSFeaturizer,
    FeatureCache,
    PretrainedTextFeaturizer,
    embed_weights,
    release,
)
from sklearn_pretrained.exceptions import BadItemError, LayerError
from sklearn_pretrained.running.eager._runner import EagerRunner
from tests import sentence_zoo, text_zoo, tower_zoo
from tests.conftest import relative_error

LENGTH = 32


def words(n: int) -> str:
    """Make a text of ``n`` tokens, special ones not counted."""
    rng = np.random.default_rng(n)
    return " ".join(rng.choice(text_zoo.WORDS, n))


TEXTS = [words(n) for n in (10, 1, 29, 30, 31, 38, 39, 100, 333)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Save tiny encoders when they are first asked for."""
    made = {}

    def folder(family):
        if family not in made:
            torch.manual_seed(0)
            made[family] = text_zoo.make_folder(tmp_path_factory.mktemp("folder"), family)
        return made[family]

    return folder


def featurizer(folder, kind=PretrainedTextFeaturizer, **options):
    options = {
        "cache": None, "device": "cpu", "max_length": LENGTH, "truncation": "windows", **options,
    }  # fmt: skip
    return kind(str(folder), **options)


def by_loop(folder, texts, pooling, *, stride, layer=-1, prompt="", skip=0):
    """Do the same with transformers: each window alone, its tokens pooled by hand."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = "T5EncoderModel" if config.model_type == "t5" else "AutoModel"
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    special = tokenizer.num_special_tokens_to_add()
    lead = len(prompt.split()) + (1 if special else 0)
    rows = []
    for text in texts:
        asked = tokenizer(
            text, truncation=True, max_length=LENGTH - len(prompt.split()), stride=stride,
            return_overflowing_tokens=True, verbose=False,
        )  # fmt: skip
        start = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        at = 1 if special else 0
        windows = [[*ids[:at], *start, *ids[at:]] for ids in asked["input_ids"]]
        step = LENGTH - len(start) - special - stride
        tokens, whole = [], []
        for k, ids in enumerate(windows):
            with torch.no_grad():
                given = network(torch.tensor([ids]), output_hidden_states=True)
            hidden = given.hidden_states[layer][0]
            whole.append(given.pooler_output[0] if pooling == "pooler" else hidden)
            begin = 0 if k == 0 else lead + stride // 2
            end = len(ids) if k == len(windows) - 1 else lead + step + stride // 2
            tokens.append(hidden[begin:end])
        tokens = torch.cat(tokens)
        assert len(tokens) == len(tokenizer(text, verbose=False)["input_ids"]) + len(start)
        rows.append(
            {
                "mean": lambda t=tokens: t[skip:].mean(0),
                "max": lambda t=tokens: t.amax(0),
                "cls": lambda w=whole: torch.stack([one[0] for one in w]).mean(0),
                "last": lambda w=whole: torch.stack([one[-1] for one in w]).mean(0),
                "pooler": lambda w=whole: torch.stack(w).mean(0),
            }[pooling]()
        )
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("pooling", ["mean", "max", "cls", "last", "pooler"])
@pytest.mark.parametrize("stride", [0, 7, 20])
def test_rows_equal_a_plain_loop_over_transformers(folders, pooling, stride):
    """All poolings and overlaps, also such that a token lies in three windows."""
    ours = featurizer(folders("BERT"), pooling=pooling, stride=stride).fit_transform(TEXTS)
    expected = by_loop(folders("BERT"), TEXTS, pooling, stride=stride)

    assert relative_error(ours, expected) < 1e-5


@pytest.mark.parametrize("family", ["RoBERTa", "MPNet", "ConvBERT", "T5", "GPT-2", "Llama"])
@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_every_kind_of_network_reads_windows(folders, family, pooling):
    """Packed encoders, one where padding would show, encoders without class token, decoders."""
    ours = featurizer(folders(family), layer=2, pooling=pooling, stride=5).fit_transform(TEXTS)
    expected = by_loop(folders(family), TEXTS, pooling, stride=5, layer=2)

    assert relative_error(ours, expected) < 1e-5


def test_a_text_of_20_000_tokens_equals_the_loop(folders):
    """Beside a text of ten."""
    texts = [words(10), words(20_000)]
    ours = featurizer(folders("BERT"), pooling="mean", stride=8).fit_transform(texts)

    assert relative_error(ours, by_loop(folders("BERT"), texts, "mean", stride=8)) < 1e-5


def test_the_memory_for_windows_does_not_grow_with_the_text(folders):
    """No forward sees more tokens than a batch may hold, however long the text is."""
    seen = []
    ours = featurizer(folders("BERT"), pooling="mean").fit(TEXTS)
    road = ours.road()
    collate = road.backbone.collate

    def watching(samples, *more):
        seen.append(sum(len(sample["input_ids"]) for sample in samples))
        return collate(samples, *more)

    road.backbone.collate = watching
    ours.road = lambda: road
    ours.transform([words(9_000)])

    assert len(seen) > 4
    assert max(seen) <= 2048


def test_a_text_that_fits_has_the_row_of_no_windows(folders):
    """To the bit alone, and within rounding beside texts of many windows."""
    short = [text for text in TEXTS if len(text.split()) <= LENGTH - 2]
    for pooling in ("mean", "max", "cls", "last", "pooler"):
        cut = featurizer(folders("BERT"), pooling=pooling, truncation="cut").fit(short)
        ours = featurizer(folders("BERT"), pooling=pooling).fit(short)
        for text in short:
            np.testing.assert_array_equal(ours.transform([text]), cut.transform([text]))
        beside = ours.transform([*short, words(400)])[:-1]
        assert relative_error(beside, cut.transform(short)) < 1e-5


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 150), min_size=1, max_size=8),
    stride=st.integers(0, LENGTH - 3),
    batch_size=st.sampled_from(["auto", 1, 3]),
)
def test_a_row_does_not_depend_on_the_texts_beside_it(folders, lengths, stride, batch_size):
    """Whatever the lengths, the overlap and the batches."""
    texts = [words(n) for n in lengths]
    for pooling in ("mean", "cls"):
        ours = featurizer(
            folders("BERT"), pooling=pooling, stride=stride, batch_size=batch_size
        ).fit(texts)
        alone = np.vstack([ours.transform([text]) for text in texts])
        assert relative_error(ours.transform(texts[::-1]), alone[::-1]) < 1e-5


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_the_prompt_begins_every_window(folders, pooling):
    """And counts once for the mean, as it does in a text that fits."""
    ours = featurizer(folders("BERT"), pooling=pooling, prompt="then it ", stride=6)
    expected = by_loop(folders("BERT"), TEXTS, pooling, stride=6, prompt="then it")

    assert relative_error(ours.fit_transform(TEXTS), expected) < 1e-5


def test_the_preset_reads_the_class_token_of_every_window(folders):
    """BertCLSFeaturizer takes the parameters too."""
    ours = featurizer(folders("BERT"), BertCLSFeaturizer, stride=7).fit_transform(TEXTS)

    assert relative_error(ours, by_loop(folders("BERT"), TEXTS, "cls", stride=7)) < 1e-5


def test_what_a_folder_puts_behind_the_pooling_comes_behind_the_windows(tmp_path):
    """Dense and normalisation of sentence-transformers, with the prompt left out of the mean."""
    prompt = {"prompts": {"query": "then it "}, "default_prompt_name": "query"}
    pooling = st_modules.Pooling(16, "mean", include_prompt=False)
    chain = (st_modules.Dense(16, 12), st_modules.Normalize())
    folder = sentence_zoo.save(sentence_zoo.whole(pooling, *chain, **prompt), tmp_path)
    ours = featurizer(folder, stride=6).fit(TEXTS)
    means = by_loop(folder, TEXTS, "mean", stride=6, prompt="then it", skip=3)
    weights = load_file(folder / "2_Dense" / "model.safetensors")
    rows = np.tanh(means @ weights["linear.weight"].numpy().T + weights["linear.bias"].numpy())
    fits = words(20)

    assert ours.pooling_ == "mean[3:]+dense12+unit"
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert relative_error(ours.transform(TEXTS), expected) < 1e-5
    assert relative_error(ours.transform([fits]), sentence_zoo.encode(folder, [fits])) < 1e-5


def test_layers_are_cached_text_by_text(folders, tmp_path, forwarded):
    """In memory and in files, under a recipe of their own that holds the stride."""
    for cache in ("memory", FeatureCache(tmp_path / "rows.db")):
        first = featurizer(folders("BERT"), pooling="mean", cache=cache).fit_transform(TEXTS)
        computed = sum(forwarded)
        again = featurizer(folders("BERT"), pooling="max", layer=1, cache=cache)
        again.fit_transform(TEXTS)
        same = featurizer(folders("BERT"), pooling="mean", cache=cache, stride=7)
        np.testing.assert_array_equal(same.fit_transform(TEXTS), first)
        assert sum(forwarded) == computed
        featurizer(folders("BERT"), pooling="mean", cache=cache, stride=8).fit_transform(TEXTS)
        assert sum(forwarded) > computed
        release()
        forwarded.clear()


def test_windows_are_pinned_and_go_with_the_estimator(folders, tmp_path):
    """In repr and provenance, through a pickle, and in a file that carries the weights."""
    folder = shutil.copytree(folders("BERT"), tmp_path / "copy")
    ours = featurizer(folder, pooling="mean", stride=9).fit(TEXTS)
    expected = ours.transform(TEXTS)
    facts = ours.provenance().to_dict()["preprocessing"]

    assert "truncation='windows'" in repr(ours)
    assert "stride=9" in repr(ours)
    assert (facts["truncation"], facts["stride"]) == ("windows", 9)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).transform(TEXTS), expected)
    data = pickle.dumps(embed_weights(ours))
    shutil.rmtree(folder)
    release()
    np.testing.assert_array_equal(pickle.loads(data).transform(TEXTS), expected)
    with pytest.raises(ValueError, match=r"stride=3 was set after fit"):
        ours.set_params(stride=3).transform(TEXTS)


def test_nothing_is_windowed_that_is_not_defined(folders, tmp_path):
    """Token rows, poolings that count places, padding that is read, strides without room."""
    with pytest.raises(LayerError, match="pooling='none' is not defined over windows"):
        featurizer(folders("BERT"), pooling="none").fit(TEXTS)
    modes = sentence_zoo.behind(pooling="weightedmean")
    with pytest.raises(LayerError, match="pooling='weightedmean' is not defined over windows"):
        featurizer(sentence_zoo.save(modes, tmp_path / "st")).fit(TEXTS)
    with pytest.raises(ValueError, match=r"stride=30 is too large.*at most 29"):
        featurizer(folders("BERT"), stride=30).fit(TEXTS)
    with pytest.raises(ValueError, match="reads padding as a part of every text"):
        featurizer(tower_zoo.make_folder(tmp_path / "SigLIP", "SigLIP"), max_length=8).fit(TEXTS)
    pair = (words(5), words(40))
    fits = (words(5), words(6))
    cut = featurizer(folders("BERT"), pooling="mean", truncation="cut").fit_transform([fits])
    ours = featurizer(folders("BERT"), pooling="mean").fit([fits])
    np.testing.assert_array_equal(ours.transform([fits]), cut)
    with pytest.raises(BadItemError, match="Item 1 of X is a pair of texts of 48 tokens"):
        ours.transform([fits, pair])


def test_memory_that_runs_out_is_met_with_smaller_batches_of_windows(folders, monkeypatch):
    """Also for a single text, whose windows are read apart."""
    ours = featurizer(folders("BERT"), pooling="mean").fit(TEXTS)
    expected = ours.transform(TEXTS[-1:])
    real = EagerRunner._found

    def short(self, batch, *more):
        if len(batch["input_ids"]) > 3:
            raise torch.OutOfMemoryError
        return real(self, batch, *more)

    monkeypatch.setattr(EagerRunner, "_found", short)
    assert relative_error(ours.transform(TEXTS[-1:]), expected) < 1e-5
