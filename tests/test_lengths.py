"""Rows of tokens: one array for each text, as long as the text, in every cache."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import transformers
from sklearn.base import clone

from sklearn_pretrained import (
    FeatureCache,
    FineTunedClassifier,
    FineTunedRegressor,
    PretrainedTextFeaturizer,
    memory_cache,
)
from sklearn_pretrained.exceptions import BadItemError, BadItemWarning
from tests import text_zoo

TEXTS = [" ".join(text_zoo.WORDS[i % 9 : i % 9 + 1 + i % 7]) for i in range(40)]
LABELS = [i % 7 > 3 for i in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a tiny BERT."""
    return str(text_zoo.make_folder(tmp_path_factory.mktemp("bert"), "BERT"))


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_rows_of_tokens_are_the_hidden_states(folder, layer):
    """Of each text alone, without padding, whatever texts are beside it."""
    rows = PretrainedTextFeaturizer(folder, layer=layer, pooling="none").fit_transform(TEXTS[:9])
    states = text_zoo.reference(folder, TEXTS[:9])

    assert rows.shape == (9,)
    for row, state in zip(rows, states, strict=True):
        np.testing.assert_allclose(row, state[layer][0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cache", ["memory", "file", None])
def test_every_cache_keeps_rows_of_any_length(folder, cache, tmp_path, forwarded):
    """The second time none is computed; equal texts are computed once."""
    memory_cache().clear()
    place = FeatureCache(tmp_path / "rows.sqlite") if cache == "file" else cache
    featurizer = PretrainedTextFeaturizer(folder, layer=1, pooling="none", cache=place).fit(TEXTS)
    first = featurizer.transform([*TEXTS, TEXTS[0]])
    once = sum(forwarded)
    again = clone(featurizer).fit(TEXTS).transform(TEXTS)

    assert once == len(set(TEXTS))
    assert sum(forwarded) == (once if cache else 2 * once)
    for row, other in zip(first, again, strict=False):
        np.testing.assert_allclose(row, other, atol=1e-5)
    np.testing.assert_array_equal(first[-1], first[0])


def test_texts_that_cannot_be_read_are_named_by_their_place_in_x(folder):
    """In the error, and in the attribute."""
    texts = ["the cat", None, "sat", 5]
    featurizer = PretrainedTextFeaturizer(folder, layer=1, pooling="none")
    with pytest.raises(BadItemError, match="Item 1 of X is missing"):
        featurizer.fit_transform(texts)
    with pytest.warns(BadItemWarning):
        rows = featurizer.set_params(on_error="nan").fit_transform(texts)

    assert list(featurizer.bad_items_) == [1, 3]
    assert np.isnan(rows[1]).all()
    assert np.isfinite(rows[2]).all()


@pytest.mark.parametrize("family", ["BERT", "MobileBERT", "T5"])
@pytest.mark.parametrize("objective", ["cross_entropy", "contrastive"])
def test_text_encoders_are_trained(family, objective, tmp_path, forwarded):
    """Each text goes once through what lies below; what is tuned does not depend on neighbours."""
    memory_cache().clear()
    folder = str(text_zoo.make_folder(tmp_path, family))
    estimator = FineTunedClassifier(
        PretrainedTextFeaturizer(folder, pooling="mean"),
        train_from=1, objective=objective, epochs=6, learning_rate=3e-3, validation_fraction=0,
        random_state=0,
    ).fit(TEXTS, LABELS)  # fmt: skip

    assert sum(forwarded) == len(set(TEXTS))
    if objective == "cross_entropy":  # the pairs of an epoch are others than those before
        assert estimator.history_[-1]["loss"] < estimator.history_[1]["loss"]
    assert estimator.changed_
    together = estimator.transform(TEXTS)
    alone = np.concatenate([estimator.transform([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_allclose(loaded.transform(TEXTS), together, rtol=1e-4, atol=1e-4)


def test_a_length_can_be_learned(folder):
    """A regressor over texts."""
    lengths = np.array([len(text.split()) for text in TEXTS])
    estimator = FineTunedRegressor(
        PretrainedTextFeaturizer(folder), train_from=1, epochs=6, learning_rate=1e-3, random_state=0
    ).fit(TEXTS, lengths)

    assert estimator.history_[-1]["loss"] < estimator.history_[1]["loss"]
    assert estimator.predict(TEXTS).shape == lengths.shape


@pytest.mark.parametrize(("blocks", "fewest"), [(2, 3), (3, 5)])
def test_texts_too_short_for_a_funnel_are_named(tmp_path, blocks, fewest):
    """A network that halves a text between its blocks says how long one must be."""
    config = transformers.FunnelConfig(
        vocab_size=40,
        block_sizes=[1] * blocks,
        num_decoder_layers=1,
        d_model=16,
        n_head=2,
        d_head=8,
        d_inner=32,
    )
    transformers.FunnelModel(config).save_pretrained(tmp_path)
    text_zoo.save_tokenizer(tmp_path, has_class=True)
    words = [" ".join(text_zoo.WORDS[:n]) for n in range(1, 8)]
    enough, short = words[fewest - 3 :], words[: fewest - 3]
    featurizer = PretrainedTextFeaturizer(str(tmp_path), pooling="mean", cache=None).fit(enough)

    assert np.isfinite(featurizer.transform(enough[:1])).all()
    if short:
        says = f"1.* has {fewest - 1} tokens, but this network.* needs at least {fewest}"
        with pytest.raises(BadItemError, match=says):
            featurizer.transform([enough[0], short[-1]])
