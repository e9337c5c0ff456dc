"""What each place adds to a decision: sums that are exact, and what is said where none is."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from sklearn_pretrained import (
    ContributionDisplay,
    FineTunedClassifier,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
)
from sklearn_pretrained.exceptions import RandomWeightsWarning
from tests.text_zoo import make_folder
from tests.vision_zoo import make_folder as make_vision_folder

TEXTS = [f"{a} {b} {c}" for a in ("cat", "rain") for b in ("sat", "fell") for c in ("on", "over")]
HEADS = [LogisticRegression(), RidgeClassifier(), LinearSVC(), LinearDiscriminantAnalysis()]
BETWEEN = [[], [StandardScaler()], [PCA(4)], [StandardScaler(), PCA(4)]]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def labels():
    """Three classes for 24 patches."""
    return np.repeat(["a", "b", "c"], 8)


@pytest.fixture(scope="module")
def tiny_text(tmp_path_factory):
    """A tiny BERT."""
    return str(make_folder(tmp_path_factory.mktemp("text") / "tiny", "BERT"))


def pictures_pipeline(*steps, **parameters):
    return make_pipeline(PretrainedImageFeaturizer(image_size=64, **parameters), *steps)


def error(display, decision):
    """Return how far a display's sum is from a decision, relative to what is summed."""
    total = display.contributions.sum() + display.constant
    summed = max(1, np.abs(display.contributions).sum())
    assert abs(total - display.decision) < 1e-5 * summed
    return abs(total - decision) / summed


@pytest.mark.parametrize("between", BETWEEN, ids=["plain", "scaler", "pca", "scaler-pca"])
@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_places_of_a_picture_sum_to_the_decision_value(patches, labels, head, between):
    """Whatever linear steps stand between, and for each class."""
    pipeline = pictures_pipeline(*between, head).fit(patches, labels)
    decisions = pipeline.decision_function(patches[:1])[0]
    for k, class_ in enumerate("abc"):
        display = ContributionDisplay.from_estimator(
            pipeline, patches[0], class_=class_, plot=False
        )

        assert display.contributions.shape == (2, 2)
        assert error(display, decisions[k]) < 1e-5


@pytest.mark.parametrize("between", BETWEEN, ids=["plain", "scaler", "pca", "scaler-pca"])
@pytest.mark.parametrize("head", [*HEADS, Ridge()], ids=lambda head: type(head).__name__)
def test_tokens_of_a_text_sum_to_the_decision_value(tiny_text, head, between):
    """Special tokens are named; they are part of the mean as any token is."""
    y = np.arange(8) % 3 if not isinstance(head, Ridge) else np.arange(8.0)
    featurizer = PretrainedTextFeaturizer(tiny_text, pooling="mean")
    pipeline = make_pipeline(featurizer, *between, head).fit(TEXTS, y)
    score = getattr(pipeline, "decision_function", pipeline.predict)
    display = ContributionDisplay.from_estimator(pipeline, TEXTS[0], plot=False)

    assert display.words == ["[CLS]", "cat", "sat", "on", "[SEP]"]
    assert error(display, score(TEXTS[:1]).max()) < 1e-5


def test_of_two_classes_the_first_one_is_explained_by_the_other_sign(patches):
    """One score decides for both."""
    pipeline = pictures_pipeline(LogisticRegression()).fit(patches, [0, 1] * 12)
    first, second = (
        ContributionDisplay.from_estimator(pipeline, patches[0], class_=k, plot=False)
        for k in (0, 1)
    )

    assert error(second, pipeline.decision_function(patches[:1])[0]) < 1e-5
    assert np.array_equal(first.contributions, -second.contributions)


def test_without_a_class_the_predicted_one_is_explained(patches, labels):
    """As the pipeline predicts it."""
    pipeline = pictures_pipeline(LogisticRegression()).fit(patches, labels)
    shown = [ContributionDisplay.from_estimator(pipeline, p, plot=False) for p in patches[::8]]

    assert [display.class_ for display in shown] == list(pipeline.predict(patches[::8]))


@pytest.mark.parametrize(
    "parameters",
    [{"layer": "features.6"}, {"layer": "features.6", "pooling": "avg"}, {"layer": "features"}],
)
def test_any_layer_that_is_averaged_is_explained(patches, labels, parameters):
    """Its map is as large as the layer's."""
    pipeline = pictures_pipeline(RidgeClassifier(), **parameters).fit(patches, labels)
    display = ContributionDisplay.from_estimator(pipeline, patches[0], class_="a", plot=False)

    assert display.contributions.shape in {(8, 8), (2, 2)}
    assert error(display, pipeline.decision_function(patches[:1])[0, 0]) < 1e-5


@pytest.mark.parametrize("family", ["ViT", "Swin", "ResNet", "DINOv2 registers"])
def test_tokens_of_vision_transformers_lie_where_their_patches_do(tmp_path, patches, family):
    """A mean over tokens leaves out class tokens and registers."""
    folder = make_vision_folder(tmp_path / "tiny", family)
    featurizer = PretrainedImageFeaturizer(str(folder), layer=-1, pooling="avg")
    pipeline = make_pipeline(featurizer, LogisticRegression()).fit(patches, [0, 1] * 12)
    display = ContributionDisplay.from_estimator(pipeline, patches[0], class_=1, plot=False)

    rows, columns = display.contributions.shape
    assert rows == columns
    assert error(display, pipeline.decision_function(patches[:1])[0]) < 1e-5


def test_the_box_is_the_part_of_the_picture_that_the_network_sees(pictures):
    """A picture of 427 × 640 is resized to 73 rows, of which the middle 64 are cut out."""
    pipeline = pictures_pipeline(LogisticRegression()).fit(pictures, [0, 1])
    display = ContributionDisplay.from_estimator(pipeline, pictures[0], plot=False)
    side = 64 / 73 * 427

    expected = ((640 - side) / 2, (427 - side) / 2, (640 + side) / 2, (427 + side) / 2)
    assert np.allclose(display.box, expected, atol=5)


def test_a_place_that_is_changed_is_where_the_contribution_changes(patches):
    """At a shallow layer, whose places see little more than they cover."""
    pipeline = pictures_pipeline(LogisticRegression(), layer="features.3").fit(patches, [0, 1] * 12)
    spoilt = patches[0].copy()
    spoilt[:40, -40:] = 255  # the upper right corner
    one, other = (
        ContributionDisplay.from_estimator(pipeline, p, class_=1, plot=False).contributions
        for p in (patches[0], spoilt)
    )
    rows, columns = one.shape
    change = np.abs(one - other)

    assert np.unravel_index(change.argmax(), change.shape) == (0, columns - 1) or (
        change[: rows // 2, columns // 2 :].sum() > 0.9 * change.sum()
    )
    assert change[-1, 0] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("objective", ["cross_entropy", "contrastive"])
def test_a_tuned_network_is_read_as_it_was_tuned(patches, labels, objective):
    """Its trained layers, not those that it began with."""
    tuned = FineTunedClassifier(
        PretrainedImageFeaturizer(image_size=64), train_from="features.16",
        objective=objective, epochs=1, validation_fraction=0, random_state=0,
    ).fit(patches, labels)  # fmt: skip
    display = ContributionDisplay.from_estimator(tuned, patches[0], class_="b", plot=False)

    assert tuned.changed_
    assert display.contributions.shape == (2, 2)
    assert error(display, tuned.decision_function(patches[:1])[0, 1]) < 1e-5


def test_a_tuned_text_encoder_is_explained(tiny_text):
    """Token by token, and in a pipeline of one step."""
    tuned = FineTunedClassifier(
        PretrainedTextFeaturizer(tiny_text, pooling="mean"), train_from=-2, epochs=2,
        validation_fraction=0, random_state=0,
    )  # fmt: skip
    pipeline = make_pipeline(tuned).fit(TEXTS, [0, 1] * 4)
    display = ContributionDisplay.from_estimator(pipeline, TEXTS[0], class_=1, plot=False)

    assert display.words[1] == "cat"
    assert error(display, pipeline.decision_function(TEXTS[:1])[0]) < 1e-5


def test_the_default_text_encoder_is_explained_though_it_brings_rows_to_length_one():
    """The length is the whole row's."""
    pipeline = make_pipeline(PretrainedTextFeaturizer(), LogisticRegression())
    pipeline.fit(TEXTS, [0] * 4 + [1] * 4)
    display = ContributionDisplay.from_estimator(pipeline, "Unbelievable cat!", class_=0)

    assert display.words[0] == "[CLS]"
    assert {"cat", "!"} <= set(display.words)
    assert error(display, -pipeline.decision_function(["Unbelievable cat!"])[0]) < 1e-5


@pytest.mark.parametrize(
    ("parameters", "steps", "why"),
    [
        ({"layer": "features.6", "pooling": "max"}, [RidgeClassifier()], "not a mean over"),
        ({"layer": "features.6", "pooling": "gem"}, [LogisticRegression()], "not a mean over"),
        ({"layer": ["features.6", -1]}, [LogisticRegression()], "several layers"),
        ({"augment": "flip"}, [LogisticRegression()], "mirror image"),
        ({}, [RandomForestClassifier(5)], "not linear"),
        ({}, [SVC()], "not linear"),
        ({}, [Normalizer(), LogisticRegression()], "not linear"),
    ],
)
def test_an_approximation_is_refused_with_its_reason(patches, labels, parameters, steps, why):
    """And occlusion is offered."""
    pipeline = pictures_pipeline(*steps, **parameters).fit(patches, labels)
    with pytest.raises(ValueError, match=f"approximation: .*{why}.*method='occlusion'"):
        ContributionDisplay.from_estimator(pipeline, patches[0], plot=False)


def test_a_class_token_is_not_a_mean(tmp_path, patches, tiny_text):
    """Of pictures and of texts."""
    folder = make_vision_folder(tmp_path / "tiny", "ViT classifier")
    for featurizer, X in (
        (PretrainedImageFeaturizer(str(folder)), patches[:8]),
        (PretrainedImageFeaturizer(str(folder), layer=-1), patches[:8]),
        (PretrainedTextFeaturizer(tiny_text, pooling="cls"), TEXTS),
    ):
        pipeline = make_pipeline(featurizer, LogisticRegression()).fit(X, [0, 1] * 4)
        with pytest.raises(ValueError, match="approximation"):
            ContributionDisplay.from_estimator(pipeline, X[0], plot=False)


def test_occlusion_hides_one_place_at_a_time(patches, labels):
    """What is shown is how the score falls; a place that holds all of the evidence shows it."""
    pipeline = pictures_pipeline(SVC()).fit(patches, labels)
    display = ContributionDisplay.from_estimator(
        pipeline, patches[0], class_="a", method="occlusion", n_places=3
    )
    hidden = patches[0].copy()
    edges = np.linspace(0, 200, 4).astype(int)
    hidden[: edges[1], edges[1] : edges[2]] = patches[0].reshape(-1, 3).mean(0).round()
    scores = pipeline.decision_function([patches[0], hidden])[:, 0]

    assert display.contributions.shape == (3, 3)
    assert display.contributions[0, 1] == pytest.approx(scores[0] - scores[1], abs=1e-5)
    assert display.decision == pytest.approx(scores[0])


def test_occlusion_leaves_out_one_word_at_a_time(tiny_text, capsys):
    """And shows a bar where it is asked to."""
    union = FeatureUnion(
        [(p, PretrainedTextFeaturizer(tiny_text, pooling=p)) for p in ("cls", "max")]
    )
    pipeline = make_pipeline(union, LogisticRegression()).fit(TEXTS, [0, 1] * 4)
    display = ContributionDisplay.from_estimator(
        pipeline, "cat sat on", class_=1, method="occlusion", verbose=True
    )
    scores = pipeline.decision_function(["cat sat on", "cat on"])

    assert display.words == ["cat", "sat", "on"]
    assert display.contributions[1] == pytest.approx(scores[0] - scores[1], abs=1e-5)
    assert "3/3" in capsys.readouterr().err


def test_a_search_is_explained_by_its_best_estimator(patches, labels):
    """As it predicts."""
    search = GridSearchCV(pictures_pipeline(LogisticRegression()), {}, cv=2).fit(patches, labels)
    display = ContributionDisplay.from_estimator(search, patches[0], class_="c", plot=False)

    assert error(display, search.decision_function(patches[:1])[0, 2]) < 1e-5


def test_a_display_is_drawn_on_axes_and_told_in_words(patches, labels):
    """With the class, the sum and the strongest places."""
    pipeline = pictures_pipeline(LogisticRegression()).fit(patches, labels)
    _, ax = plt.subplots()
    display = ContributionDisplay.from_estimator(pipeline, patches[0], class_="a", ax=ax)

    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert "constant" in ax.get_title()
    told = str(display)
    assert told.startswith("a: ")
    assert f"{display.contributions[0, 1]:+.4f}" in told
    assert f"{display.constant:+.4f}" in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_": "z"}, "class_='z' is not one of the classes"),
        ({"method": "guess"}, "method must be 'exact' or 'occlusion'"),
    ],
)
def test_a_wrong_parameter_is_named(patches, labels, change, message):
    """With what would be right."""
    pipeline = pictures_pipeline(LogisticRegression()).fit(patches, labels)
    with pytest.raises(ValueError, match=message):
        ContributionDisplay.from_estimator(pipeline, patches[0], plot=False, **change)


def test_an_estimator_that_is_no_pipeline_is_refused():
    """With what can be explained."""
    head = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match="a pipeline that begins with a featurizer"):
        ContributionDisplay.from_estimator(head, "text")


def test_contributions_of_random_weights_sum_too(patches):
    """EfficientNet's own pooling is a mean over its last map."""
    featurizer = PretrainedImageFeaturizer("efficientnet_b0", weights=None, image_size=64)
    with pytest.warns(RandomWeightsWarning):
        pipeline = make_pipeline(featurizer, LogisticRegression()).fit(patches, [0, 1] * 12)
    display = ContributionDisplay.from_estimator(pipeline, patches[0], class_=1, plot=False)

    assert display.contributions.shape == (2, 2)
