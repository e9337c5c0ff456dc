"""Classes known by their names: transformers' own pipeline, labels that join, and checks."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_sample_images
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, ZeroShotClassifier
from sklearn_pretrained.zero_shot._labels import learn
from sklearn_pretrained.zero_shot._networks import Readers
from tests.text_zoo import save_tokenizer

_VISION = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip
_TEXT = {
    "vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 39,
    "pad_token_id": 0,
}  # fmt: skip
CLASSES = ["cat", "mat", "red roofs"]
TEMPLATE = "the {} and it"


def make_towers(folder, kind):
    """Save a tiny CLIP or SigLIP whose temperature is not the initial one."""
    config = getattr(transformers, f"{kind}Config")(
        vision_config=_VISION, text_config=_TEXT, projection_dim=20
    )
    torch.manual_seed(0)
    network = getattr(transformers, f"{kind}Model")(config)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
        elif name == "logit_scale":
            nn.init.constant_(parameter, 1.7)
        elif name == "logit_bias":
            nn.init.constant_(parameter, -2.5)
    network.save_pretrained(folder)
    processor = getattr(transformers, f"{kind}ImageProcessor")
    if kind == "CLIP":
        size = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
    else:
        size = {"size": {"height": 32, "width": 32}}
    processor(**size).save_pretrained(folder)
    save_tokenizer(folder, has_class=True, end=39, length=64)
    if kind == "Siglip":  # whose tokenizer names no mask, so that padding is read
        settings = folder / "tokenizer_config.json"
        known = json.loads(settings.read_text())
        settings.write_text(json.dumps({**known, "model_input_names": ["input_ids"]}))
    return str(folder)


@pytest.fixture(scope="module")
def pictures():
    """Four pictures cut from the sample ones."""
    return [
        p[i : i + 150, i : i + 200].copy() for p in load_sample_images().images for i in (0, 90)
    ]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A tiny CLIP."""
    return make_towers(tmp_path_factory.mktemp("clip") / "tiny", "CLIP")


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_probabilities_are_those_of_the_pipeline_of_transformers(tmp_path, pictures, kind):
    """With the network's own temperature, and SigLIP's bias and sigmoid."""
    folder = make_towers(tmp_path / "tiny", kind)
    pipeline = transformers.pipeline("zero-shot-image-classification", model=folder, device="cpu")
    expected = np.zeros((len(pictures), len(CLASSES)))
    for i, picture in enumerate(pictures):
        for one in pipeline(
            Image.fromarray(picture), candidate_labels=CLASSES, hypothesis_template=TEMPLATE
        ):
            expected[i, CLASSES.index(one["label"])] = one["score"]

    ours = ZeroShotClassifier(folder, templates=TEMPLATE, device="cpu").fit(None, CLASSES)
    found = ours.predict_proba(pictures)

    assert list(ours.classes_) == CLASSES
    assert np.abs(found - expected).max() < 1e-5
    assert expected.std(axis=0).max() > 1e-3
    assert list(ours.predict(pictures)) == [CLASSES[k] for k in expected.argmax(axis=1)]
    assert ours.each_alone_ is (kind == "Siglip")


def test_several_templates_are_averaged(clip, pictures):
    """Each prompt has length 1 before, and the average after."""
    several = ["the {}", "on a {} it sat"]
    rows = [
        ZeroShotClassifier(clip, templates=one, device="cpu").fit(None, CLASSES).prompts_
        for one in several
    ]
    ours = ZeroShotClassifier(clip, templates=several, device="cpu").fit(None, CLASSES)
    mean = np.mean(rows, axis=0)

    assert np.allclose(ours.prompts_, mean / np.linalg.norm(mean, axis=1, keepdims=True))
    assert np.allclose(ours.predict_proba(pictures).sum(axis=1), 1)


def test_labels_that_are_no_names_are_given_some(clip):
    """Prompts are made of the names, predictions of the labels."""
    named = ZeroShotClassifier(clip, class_names={0: "cat", 1: "mat"}, device="cpu")
    named.fit(None, [1, 0])
    plain = ZeroShotClassifier(clip, device="cpu").fit(None, ["cat", "mat"])

    assert list(named.classes_) == [0, 1]
    assert np.array_equal(named.prompts_, plain.prompts_)


def test_temperature_changes_how_sure_predictions_are(clip, pictures):
    """And none of them."""
    sure, unsure = (
        ZeroShotClassifier(clip, temperature=t, device="cpu").fit(None, CLASSES)
        for t in (0.01, 1.0)
    )

    assert np.array_equal(sure.predict(pictures), unsure.predict(pictures))
    assert (sure.predict_proba(pictures).max(1) > unsure.predict_proba(pictures).max(1)).all()


def test_sentence_encoders_classify_texts():
    """By names alone, or with labelled texts, which are right where names mislead."""
    X = [
        "The striker scored twice.",
        "Simmer the onions.",
        "A late goal won it.",
        "Bake the bread.",
    ]
    y = ["sports", "cooking", "sports", "cooking"]
    by_name = ZeroShotClassifier(device="cpu").fit(None, ["cooking", "sports"])
    swapped = [{"sports": "cooking", "cooking": "sports"}[label] for label in y]
    taught = ZeroShotClassifier(device="cpu").fit(X * 3, swapped * 3)

    assert list(by_name.predict(X)) == y
    assert by_name.label_weight_ == 0
    assert list(taught.predict(X)) == swapped
    assert taught.label_weight_ > 0


def test_labels_without_weight_leave_the_prompts_alone(clip, pictures):
    """``label_weight=0`` is the classifier by names."""
    y = ["cat", "mat", "cat", "mat"]
    prompts = ZeroShotClassifier(clip, device="cpu").fit(None, y)
    both = ZeroShotClassifier(clip, label_weight=0, device="cpu").fit(pictures, y)

    assert np.allclose(prompts.predict_proba(pictures), both.predict_proba(pictures))


def test_a_row_that_is_left_out_is_left_out_exactly():
    """The closed form gives what a fit without the row gives, and so chooses the same."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(20, 6))
    y = random.integers(3, size=20)
    logits = random.normal(size=(20, 3))
    learned = learn(rows, y, logits, 2.0)
    losses = {}
    for penalty in (0.01, 0.1, 1.0, 10.0, 100.0):
        scores = np.empty((20, 3))
        for i in range(20):
            others = np.arange(20) != i
            targets = np.eye(3)[y[others]]
            centred = rows[others] - rows[others].mean(0)
            inverse = np.linalg.inv(centred.T @ centred + penalty * np.eye(6))
            coef = inverse @ centred.T @ (targets - targets.mean(0))
            scores[i] = targets.mean(0) + (rows[i] - rows[others].mean(0)) @ coef
        total = logits + 2 * scores
        proba = np.exp(total) / np.exp(total).sum(1, keepdims=True)
        losses[penalty] = log_loss(y, proba)
    best = min(losses, key=losses.get)
    centred = rows - rows.mean(0)
    expected = np.linalg.solve(centred.T @ centred + best * np.eye(6), centred.T @ np.eye(3)[y]).T

    assert np.allclose(learned.coef, expected)


def test_clones_and_pickles_are_small_and_predict_the_same(clip, pictures):
    """Kilobytes, without a weight of the network."""
    fitted = ZeroShotClassifier(clip, device="cpu").fit(pictures, ["cat", "mat", "cat", "mat"])
    file = pickle.dumps(fitted)

    assert len(file) < 20_000
    assert np.array_equal(
        pickle.loads(file).predict_proba(pictures), fitted.predict_proba(pictures)
    )
    assert clone(fitted).get_params() == fitted.get_params()
    assert fitted.provenance().to_dict()["classes"] == ["cat", "mat"]


def test_names_are_given_to_the_labels_themselves(clip, pictures):
    """A key of another type would leave the class without its name; one too many is no harm."""
    classifier = ZeroShotClassifier(clip, class_names={"0": "cat", "1": "mat"}, device="cpu")
    with pytest.raises(
        ValueError, match=r"names '0', which is not a class.*no name for the class 0"
    ):
        classifier.fit(None, [0, 1])

    named = classifier.set_params(class_names={0: "cat", 1: "mat", 2: "sat"}).fit(None, [0, 1])
    plain = ZeroShotClassifier(clip, device="cpu").fit(None, ["cat", "mat"])
    np.testing.assert_array_equal(named.predict_proba(pictures), plain.predict_proba(pictures))


def test_it_is_cross_validated_as_any_classifier_is(clip, pictures):
    """With labels as y."""
    scores = cross_val_score(
        ZeroShotClassifier(clip, device="cpu"), pictures * 2, ["cat", "mat"] * 4, cv=2
    )

    assert scores.shape == (2,)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"templates": "no place"}, "templates must be sentences with {}"),
        ({"templates": []}, "templates must be sentences with {}"),
        ({"temperature": 0}, "temperature"),
    ],
)
def test_a_wrong_parameter_is_named(clip, parameters, message):
    """With what would be right."""
    with pytest.raises(ValueError, match=message):
        ZeroShotClassifier(clip, device="cpu", **parameters).fit(None, CLASSES)


class AnyWidth(nn.Module):
    """A network that reads rows of any width."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(8, 384)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad or cut to eight numbers, and squash them so that none is too large."""
        x = nn.functional.pad(torch.atan(x), (0, max(0, 8 - x.shape[1])))[:, :8]
        return torch.tanh(self.hidden(x))


class ZeroShotFromRows(ZeroShotClassifier):
    """The classifier, reading numeric rows with a network of its own."""

    def _readers(self):
        found = super()._readers()
        return Readers(
            ModuleFeaturizer(AnyWidth, layer="output", device="cpu"), found.prompts,
            sees_images=False,
        )  # fmt: skip

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


@parametrize_with_checks([ZeroShotFromRows(device="cpu")])
def test_scikit_learn_accepts_the_estimator(estimator, check):
    """Each of scikit-learn's checks passes."""
    check(estimator)


def test_the_checks_really_ran():
    """A suite that checks nothing would pass too."""
    checks = estimator_checks_generator(ZeroShotFromRows(device="cpu"), legacy=True)

    assert len(list(checks)) >= 50
