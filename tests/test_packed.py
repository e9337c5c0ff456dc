"""Texts without padding: the same features, whatever texts share a batch."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_pretrained import PretrainedTextFeaturizer
from sklearn_pretrained.running import eager
from sklearn_pretrained.running.eager.fast._switch import VARIABLE
from sklearn_pretrained.running.eager.packed import _attention as _packed_attention
from sklearn_pretrained.running.eager.packed import _packing as _packed
from sklearn_pretrained.running.eager.packed._attention import attend
from sklearn_pretrained.running.eager.packed._segments import Segments, UnpackableError
from tests import text_zoo
from tests.conftest import relative_error

PACKED = {
    *("BERT", "RoBERTa", "DistilBERT", "MPNet", "ALBERT", "ELECTRA", "XLM-R", "CamemBERT"),
    *("ModernBERT", "EuroBERT", "NomicBERT", "GTE"),
}
TEXTS = ["word " * n + "end" for n in (1, 30, 30, 2, 9, 30, 120, 1, 5)]


@pytest.fixture(autouse=True)
def empty_registry():
    eager.unload()
    yield
    eager.unload()


def featurizer(**parameters):
    return PretrainedTextFeaturizer(**{"cache": None, "device": "cpu", **parameters})


def network_of(ours):
    dtype = getattr(torch, ours.dtype_)
    network = eager.load(ours._backbone(), torch.device("cpu"), dtype, ours.weights_digest_)
    network.expect(100)
    return network


@pytest.mark.parametrize("family", text_zoo.FAMILIES)
def test_encoders_that_can_be_run_without_padding_are(family, tmp_path):
    """Others keep their padding: disentangled attention, T5, decoders."""
    folder = text_zoo.make_folder(tmp_path / "network", family)
    ours = featurizer(model=str(folder)).fit(text_zoo.TEXTS)

    assert (network_of(ours).arranged.packing is not None) == (family in PACKED)


@pytest.mark.parametrize(
    ("layer", "pooling"),
    [
        *[([0, 3, 6], pooling) for pooling in ("mean", "cls", "max", "last")],
        ("penultimate", "auto"),
        ("penultimate", "pooler"),
    ],
)
def test_features_are_those_of_padded_batches(monkeypatch, layer, pooling):
    """Of the real MiniLM, for every layer and pooling."""
    ours = featurizer(layer=layer, pooling=pooling)
    fast = ours.fit_transform(TEXTS)
    assert network_of(ours).arranged.packing is not None
    assert not network_of(ours).unpackable
    monkeypatch.setenv(VARIABLE, "0")
    eager.unload()
    padded = ours.fit_transform(TEXTS)

    assert network_of(ours).arranged.packing is None
    for start in range(0, fast.shape[1], 384):
        one, other = (rows[:, start : start + 384] for rows in (fast, padded))
        assert relative_error(one, other) < 1e-5


@pytest.mark.parametrize(("family", "shows"), [("MobileBERT", True), ("T5", False)])
def test_where_padding_would_show_only_texts_of_one_length_meet(family, shows, tmp_path):
    """MobileBERT reads each token with its neighbours, whatever its mask says."""
    folder = text_zoo.make_folder(tmp_path / "network", family)
    ours = featurizer(model=str(folder), pooling="mean")
    together = ours.fit_transform(text_zoo.TEXTS)
    alone = np.vstack([ours.transform([text]) for text in text_zoo.TEXTS])

    assert network_of(ours).arranged.even == shows
    assert relative_error(together, alone) < 1e-5


def test_a_text_does_not_depend_on_its_neighbours():
    """Alone, or among texts of any length."""
    ours = featurizer()
    together = ours.fit_transform(TEXTS)
    alone = np.vstack([ours.transform([text]) for text in TEXTS])

    assert relative_error(together, alone) < 1e-5


def test_inner_layers_are_read_without_padding_too():
    """Attention, its parts, and the feed-forward network."""
    for layer in ("encoder.layer.2.attention.self.query", "encoder.layer.3.intermediate",
                  "encoder.layer.1.attention", "embeddings.LayerNorm"):  # fmt: skip
        ours = featurizer(layer=layer, pooling="mean")
        together = ours.fit_transform(TEXTS)
        alone = np.vstack([ours.transform([text]) for text in TEXTS])
        assert network_of(ours).unpackable == set()
        assert relative_error(together, alone) < 1e-5


def test_pairs_keep_their_types():
    """The second text of a pair is told from the first."""
    pairs = [("a red roof", "rain"), ("it slept", "while rain fell softly over red roofs")]
    ours = featurizer(layer=-1, pooling="mean")
    together = ours.fit_transform(pairs)
    alone = np.vstack([ours.transform([pair]) for pair in pairs])

    assert relative_error(together, alone) < 1e-5


def test_a_layer_that_cannot_be_read_so_is_read_with_padding(tmp_path):
    """And is remembered, so that nothing is run twice again."""
    folder = text_zoo.make_folder(tmp_path / "network", "BERT")
    ours = featurizer(model=str(folder), layer=-1, pooling="mean").fit(text_zoo.TEXTS)
    network = network_of(ours)
    packing = network.arranged.packing

    class Blind(type(packing)):
        def inputs(self, batch):
            inputs, segments = super().inputs(batch)
            return inputs, BlindSegments(segments.lengths)

    class BlindSegments(Segments):
        def restore(self, x, shape):
            raise UnpackableError("not here")

    right = ours.transform(text_zoo.TEXTS)
    blind = Blind(packing.padding, packing.types)
    network.arranged = replace(network.arranged, packing=blind)
    again = ours.transform(text_zoo.TEXTS)

    assert network.unpackable == {"hidden_3"}
    assert relative_error(again, right) < 1e-5


def test_threads_see_their_own_texts():
    """Two threads over one network, each with other texts."""
    ours = featurizer().fit(TEXTS)
    expected = {n: ours.transform(TEXTS[:n]) for n in (3, 9)}
    errors = []

    def run(n):
        errors.extend(relative_error(ours.transform(TEXTS[:n]), expected[n]) for _ in range(5))

    threads = [threading.Thread(target=run, args=(n,)) for n in (3, 9, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(errors) == 15
    assert max(errors) < 1e-5


@given(st.lists(st.integers(1, 6), min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_a_row_of_tokens_comes_back_as_texts(lengths):
    """For any lengths, in any order."""
    segments = Segments(tuple(lengths))
    x = torch.arange(1.0, 2 * sum(lengths) + 1).view(1, -1, 2)
    padded = segments.restore(x, (99, 2))

    assert padded.shape == (len(lengths), max(lengths), 2)
    torch.testing.assert_close(padded[segments.mask], x[0])
    assert padded[~segments.mask].sum() == 0
    assert [n * length for _, n, length in segments.runs] != []
    covered = [i for start, n, length in segments.runs for i in range(start, start + n * length)]
    assert covered == list(range(sum(lengths)))
    assert x[0, segments.firsts].equal(padded[:, 0])


def test_a_window_holds_within_each_text():
    """Tokens farther apart than it do not see each other, and those of other texts never."""
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 14, 4)
    segments = Segments((9, 3, 2))
    ours = attend(query, key, value, segments, reach=2)[0]

    start = 0
    for length in segments.lengths:
        q, k, v = (x[0, :, start : start + length] for x in (query, key, value))
        scores = q @ k.transpose(1, 2) / 2
        places = torch.arange(length)
        far = (places[:, None] - places).abs() > 2
        right = scores.masked_fill(far, float("-inf")).softmax(-1) @ v
        torch.testing.assert_close(ours[start : start + length], right.transpose(0, 1))
        start += length


@pytest.mark.parametrize(
    "how", [{}, {"reach": 2}, {"scale": 0.3}, {"bias": torch.ones(1, 2, 9, 9)}]
)
def test_a_text_alone_attends_as_among_others(how):
    """To the same numbers, without being taken out of a row."""
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 2, 12, 4)
    among = attend(query, key, value, Segments((9, 3)), **how)[:, :9]
    alone = attend(*(x[:, :, :9] for x in (query, key, value)), Segments((9,)), **how)

    assert alone.shape == (1, 9, 2, 4)
    assert alone.is_contiguous()
    assert torch.equal(alone, among)


def test_heads_that_share_keys_find_theirs():
    """Two heads to each key, as repeating the keys gives."""
    torch.manual_seed(0)
    query, key, value = torch.randn(1, 4, 9, 4), torch.randn(1, 2, 9, 4), torch.randn(1, 2, 9, 4)
    segments = Segments((5, 4))
    repeated = (x.repeat_interleave(2, dim=1) for x in (key, value))

    torch.testing.assert_close(
        attend(query, key, value, segments), attend(query, *repeated, segments)
    )


@pytest.mark.parametrize("family", ["BERT", "MPNet", "ModernBERT"])
def test_an_encoder_that_fails_the_trial_is_left_as_it_was(family, tmp_path, monkeypatch):
    """Its attention, its hooks and its numbers."""
    folder = text_zoo.make_folder(tmp_path / "network", family)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    ids = torch.randint(5, 40, (2, 9))
    with torch.inference_mode():
        right = network(input_ids=ids).last_hidden_state
    before = network.config._attn_implementation
    monkeypatch.setattr(_packed, "are_alike", lambda *_: False)

    assert _packed.find_packing(network, network.config) is None
    assert network.config._attn_implementation == before
    assert not any(
        module._forward_pre_hooks or "forward" in vars(module) for module in network.modules()
    )
    with torch.inference_mode():
        assert torch.equal(network(input_ids=ids).last_hidden_state, right)


def test_a_window_that_is_not_what_it_says_is_noticed(tmp_path, monkeypatch):
    """The trial has a text that is longer than the window."""
    folder = text_zoo.make_folder(tmp_path / "network", "ModernBERT")
    network = transformers.AutoModel.from_pretrained(folder).eval()
    monkeypatch.setattr(_packed_attention, "_within", lambda *_: None)

    assert _packed.find_packing(network, network.config) is None


def test_a_pooler_out_of_reach_is_read_with_padding(tmp_path):
    """ALBERT's is given one token; with several texts that is noticed, and the rows are right."""
    folder = text_zoo.make_folder(tmp_path / "network", "ALBERT")
    ours = featurizer(model=str(folder), pooling="pooler").fit(text_zoo.TEXTS)
    together = ours.transform(text_zoo.TEXTS)
    alone = np.vstack([ours.transform([text]) for text in text_zoo.TEXTS])

    assert network_of(ours).unpackable
    assert relative_error(together, alone) < 1e-5


def test_one_text_is_packed_as_it_is_among_others():
    """A batch without padding is a row of tokens as it lies."""
    for padding in (None, 1):
        packing = _packed.Packing(padding, types=True)
        ids = torch.tensor([[5, 1, 7, 8]])
        alone, of_one = packing.inputs({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        longer = torch.tensor([[5, 1, 7, 8, 0], [2, 3, 4, 5, 6]])
        mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
        among, _ = packing.inputs({"input_ids": longer, "attention_mask": mask})

        assert of_one.lengths == (4,)
        assert alone.keys() == among.keys()
        for name, tensor in alone.items():
            assert tensor.tolist() == among[name][:, :4].tolist()
