"""The diagram that a notebook shows: network, layer, width and weights, in scikit-learn's dress."""

from __future__ import annotations

import pickle

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from sklearn_pretrained import (
    FineTunedClassifier,
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
)
from sklearn_pretrained.backbones import _find
from sklearn_pretrained.running.eager import _registry
from tests.conftest import make_mlp


def test_a_fitted_featurizer_shows_network_layer_width_and_weights(patches):
    """Below its name, alone and as a step of a pipeline."""
    featurizer = PretrainedImageFeaturizer(layer=["features.3", -1], dtype="bfloat16").fit(patches)
    shown = (
        "torchvision/mobilenet_v2 · features.3 + features.18 · 1,304 features · weights "
        f"{featurizer.weights_digest_[:8]} · bfloat16"
    )

    assert shown in featurizer._repr_html_()
    assert shown in make_pipeline(featurizer, LogisticRegression())._repr_html_()


def test_before_fit_it_shows_what_was_asked_for():
    """Also within an estimator that trains, and for networks of the user's own."""
    tuned = FineTunedClassifier(PretrainedImageFeaturizer("resnet50", layer=-2))

    assert "resnet50 · layer=-2" in tuned._repr_html_()
    assert "Sequential · layer=" in ModuleFeaturizer(make_mlp())._repr_html_()
    assert "random weights" in PretrainedImageFeaturizer(weights=None)._repr_html_()


def test_names_lead_to_this_packages_reference():
    """And not to scikit-learn's."""
    html = PretrainedTextFeaturizer()._repr_html_()

    assert "sklearn-pretrained.readthedocs.io" in html
    assert "generated/sklearn_pretrained.PretrainedTextFeaturizer.html" in html


def test_what_a_user_named_is_escaped(tmp_path):
    """A network's name is text, and no markup."""
    evil = "<script>alert(1)</script>"
    featurizer = PretrainedImageFeaturizer(evil, weights=evil, layer=evil)
    pipeline = make_pipeline(featurizer)

    assert "<script>alert" not in featurizer._repr_html_() + estimator_html_repr(pipeline)
    assert "&lt;script&gt;alert" in featurizer._repr_html_()


def test_nothing_is_found_or_loaded_for_a_diagram(patches, monkeypatch):
    """So it also shows an estimator whose weights are gone."""
    featurizer = PretrainedImageFeaturizer(layer=-1).fit(patches)
    moved = pickle.loads(pickle.dumps(featurizer))

    def refuse(*_, **__):
        raise AssertionError("a diagram looked for a network")

    monkeypatch.setattr(_find, "find_image", refuse)
    monkeypatch.setattr(_registry, "speed_up", refuse)
    monkeypatch.setattr(PretrainedImageFeaturizer, "_backbone", refuse)
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", refuse)

    html = moved._repr_html_()
    assert "features.18 · 1,280 features" in html
    assert "mobilenet_v2_features.18_0" in html  # the names of its columns


@pytest.mark.parametrize("layer", ["features.3", ["features.3", -1]])
def test_columns_are_named_by_network_layer_and_number(patches, layer):
    """As many as rows have columns."""
    featurizer = PretrainedImageFeaturizer(layer=layer).fit(patches)
    names = featurizer.get_feature_names_out()

    assert names[0] == "mobilenet_v2_features.3_0"
    assert len(set(names)) == featurizer.n_features_out_
