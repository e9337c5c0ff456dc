"""Training upper layers: what is computed once, what is kept, and what never changes."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from sklearn_pretrained import (
    FeatureCache,
    FineTunedClassifier,
    FineTunedRegressor,
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    memory_cache,
)
from sklearn_pretrained.backbones._weights import digest_of
from sklearn_pretrained.exceptions import CacheWarning, LayerError, WeightsError
from sklearn_pretrained.finetuning._activations import Activations
from sklearn_pretrained.finetuning._aside import aside, rows, way
from sklearn_pretrained.finetuning._heads import affine
from sklearn_pretrained.finetuning._held_out import is_worse
from sklearn_pretrained.finetuning._lying import Copied, InCache
from sklearn_pretrained.finetuning._tasks import Classes
from sklearn_pretrained.finetuning._training import Training
from sklearn_pretrained.running.eager import load
from tests import text_zoo
from tests.conftest import TinyConvNet


class Small(nn.Module):
    """Five stages over 64 numbers, with a batch norm whose statistics are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.second = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU())
        self.third = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all stages."""
        return self.head(self.third(self.second(self.first(x / 4))))


@pytest.fixture(scope="module")
def digits():
    """Give 300 digits as numbers."""
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


@pytest.fixture
def small():
    """Give a network, the same each time."""
    torch.manual_seed(0)
    return Small()


def tuned(network, **parameters):
    given = {
        "train_from": "first",
        "epochs": 4,
        "learning_rate": 1e-2,
        "random_state": 0,
        **parameters,
    }
    return FineTunedClassifier(ModuleFeaturizer(network, device="cpu"), **given | parameters)


def test_training_gains_over_the_probe_and_says_how_much(small, digits):
    """A random network learns; the history begins with the frozen probe, and its best is kept."""
    X, y = digits
    estimator = tuned(small, epochs=10).fit(X[:200], y[:200])
    frozen = clone(estimator).set_params(train_from=None).fit(X[:200], y[:200])

    assert [record["epoch"] for record in estimator.history_] == list(range(11))
    scores = [record["score"] for record in estimator.history_]
    assert estimator.best_epoch_ == np.argmin([r["held_out_loss"] for r in estimator.history_])
    assert estimator.improvement_ == scores[estimator.best_epoch_] - scores[0] > 0
    assert estimator.score(X[200:], y[200:]) > frozen.score(X[200:], y[200:])
    assert frozen.history_ == []
    assert frozen.improvement_ == 0


def test_frozen_is_the_pipeline_of_featurizer_and_head(small, digits):
    """With train_from=None, to the bit."""
    X, y = digits
    frozen = tuned(small, train_from=None).fit(X, y)
    pipeline = make_pipeline(ModuleFeaturizer(small), LogisticRegression(max_iter=1000)).fit(X, y)

    np.testing.assert_array_equal(frozen.predict_proba(X), pipeline.predict_proba(X))


def test_where_no_epoch_is_better_the_frozen_probe_is_kept(small, digits):
    """A rate that destroys the network leaves the estimator as good as it was, and says so."""
    X, y = digits
    estimator = tuned(small, learning_rate=50.0, epochs=3).fit(X, y)
    frozen = clone(estimator).set_params(train_from=None).fit(X, y)

    assert estimator.best_epoch_ == 0
    assert estimator.improvement_ == 0
    assert estimator.train_from_ is None
    assert estimator.changed_ == {}
    np.testing.assert_array_equal(estimator.predict(X), frozen.predict(X))


def test_a_lower_loss_is_no_gain_where_clearly_fewer_rows_are_right():
    """Beyond two standard errors of the difference; within them the loss decides."""
    right = np.ones(100, dtype=bool)
    weights = np.ones(100)

    assert not is_worse(right, np.arange(100) >= 3, weights)
    assert is_worse(right, np.arange(100) >= 6, weights)
    assert not is_worse(np.arange(100) >= 6, right, weights)
    assert not is_worse(right, right, weights)


def test_a_gain_may_be_negative_and_says_so(small, digits, monkeypatch):
    """Where the loss falls and a few rows fewer are right, training is kept, and the loss told."""
    X, y = digits
    scores = iter([0.9, *[0.88] * 4])
    monkeypatch.setattr(Classes, "score", lambda self, decided, rows, weights: next(scores))
    estimator = tuned(small, epochs=4).fit(X, y)

    assert estimator.best_epoch_ > 0
    np.testing.assert_allclose(estimator.improvement_, -0.02)


def test_a_network_that_learned_to_be_wrong_is_put_back(small, digits, monkeypatch):
    """The probe is kept, with the network that it was fitted on, and the gain is none."""
    X, y = digits
    monkeypatch.setattr(Classes, "hits", lambda self, decided, rows: next(judged))
    judged = iter([np.ones(60, dtype=bool), *[np.zeros(60, dtype=bool)] * 4] * 2)
    monkeypatch.setattr(Classes, "score", lambda self, decided, rows, weights: 1.0)
    estimator = tuned(small, epochs=4).fit(X, y)
    frozen = clone(estimator).set_params(train_from=None).fit(X, y)

    assert (
        min(r["held_out_loss"] for r in estimator.history_[1:])
        < (estimator.history_[0]["held_out_loss"])
    )
    assert estimator.best_epoch_ == 0
    assert estimator.train_from_ is None
    np.testing.assert_array_equal(estimator.predict(X), frozen.predict(X))


def test_epoch_0_is_the_probe_itself(small, digits):
    """The head's coefficients start what is trained: before a step nothing has moved."""
    X, y = digits
    estimator = tuned(small, learning_rate=1e-12, epochs=1, validation_fraction=0).fit(X, y)
    frozen = clone(estimator).set_params(train_from=None).fit(X, y)

    assert estimator.best_epoch_ == 1
    np.testing.assert_allclose(
        estimator.predict_proba(X), frozen.predict_proba(X), atol=1e-4, rtol=1e-4
    )


def test_a_layer_with_nothing_to_train_above_it_leaves_the_network_frozen(small, digits):
    """So that a grid may hold it beside the others."""
    X, y = digits
    estimator = tuned(small, train_from="third").fit(X, y)

    assert estimator.train_from_ is None
    assert estimator.history_ == []


def test_a_layer_above_the_one_that_is_read_is_refused(small, digits):
    """There is nothing of the network between them."""
    X, y = digits
    featurizer = ModuleFeaturizer(small, layer="first")

    with pytest.raises(LayerError, match="nothing of the network lies between it and 'first'"):
        FineTunedClassifier(featurizer, train_from="second").fit(X, y)


@pytest.mark.parametrize("objective", ["cross_entropy", "contrastive"])
def test_the_same_seed_gives_the_same_model(small, digits, objective):
    """On one thread, to the bit."""
    X, y = digits
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one, other = (tuned(small, objective=objective, epochs=2).fit(X, y) for _ in range(2))
    finally:
        torch.set_num_threads(before)

    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_the_network_that_is_shared_never_changes(small, digits):
    """Neither the one that was passed nor the one that featurizers run, nor their statistics."""
    X, y = digits
    estimator = tuned(small)
    featurizer = estimator.featurizer.fit(X)
    shared = load(
        featurizer._backbone(), torch.device("cpu"), torch.float32, featurizer.weights_digest_
    ).module
    before = digest_of(small), digest_of(shared)
    rows = featurizer.transform(X)
    estimator.fit(X, y)

    assert estimator.changed_
    assert (digest_of(small), digest_of(shared)) == before
    np.testing.assert_array_equal(featurizer.transform(X), rows)
    assert not any("running" in name for name in estimator.changed_)


def test_only_what_lies_above_the_cut_is_changed(small, digits):
    """Names of tensors tell where they belong."""
    X, y = digits
    estimator = tuned(small, train_from="second").fit(X, y)

    assert estimator.trunk_.layer_ == estimator.train_from_ == "second"
    assert set(estimator.changed_) == {"third.0.weight", "third.0.bias"}


class Deep(nn.Module):
    """Eight stages over 64 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            *(nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(7))
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all stages."""
        return self.head(self.stages(x / 4))


@pytest.mark.parametrize(
    ("keep", "depths"),
    [
        ("auto", [None, -3, -4, 0.5]),
        ("auto", [-3, 0.5, None, -4]),
        (["stages.0"], [None, "stages.0", "stages.1", 0.5]),
    ],
)
def test_a_search_over_depths_sends_each_row_through_the_network_once(
    digits, forwarded, keep, depths
):
    """Four depths, five folds: the first forward keeps what others go on from; none comes later."""
    X, y = digits
    torch.manual_seed(1)
    memory_cache().clear()
    featurizer = ModuleFeaturizer(Deep(), device="cpu", keep_layers=keep)
    estimator = FineTunedClassifier(featurizer, epochs=1, random_state=0)
    grid = {"train_from": depths}
    search = GridSearchCV(estimator, grid, cv=5, error_score="raise").fit(X, y)
    assert sum(forwarded) == len(X)
    first = list(forwarded)
    again = GridSearchCV(estimator, grid, cv=5, error_score="raise").fit(X, y)

    assert forwarded == first
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Make a tiny text encoder."""
    return str(text_zoo.make_folder(tmp_path_factory.mktemp("bert"), "BERT"))


@pytest.fixture(scope="module")
def sentences():
    """Give texts of many lengths, some of them twice, with labels that a word decides."""
    words = text_zoo.WORDS
    texts = [" ".join(words[(i + j) % 17] for j in range(1 + i * i % 7)) for i in range(34)]
    texts += texts[:6]
    return texts, np.array(["cat" in text for text in texts], dtype=int)


@pytest.mark.parametrize(
    "depths", [[None, "hidden_1", "hidden_2", 0.4], ["hidden_2", None, 0.4, "hidden_1"]]
)
def test_a_search_over_depths_sends_each_text_through_the_network_once(
    bert, sentences, forwarded, depths
):
    """Four depths, five folds: rows of tokens are kept aside, as long as each text is."""
    X, y = sentences
    memory_cache().clear()
    featurizer = PretrainedTextFeaturizer(bert, device="cpu", keep_layers=["hidden_1"])
    estimator = FineTunedClassifier(featurizer, epochs=1, random_state=0)
    grid = {"train_from": depths}
    search = GridSearchCV(estimator, grid, cv=5, error_score="raise").fit(X, y)
    assert sum(forwarded) == len(set(X))
    again = GridSearchCV(estimator, grid, cv=5, error_score="raise").fit(X, y)

    assert sum(forwarded) == len(set(X))
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


def test_texts_by_way_of_a_lower_layer_have_the_same_rows(bert, sentences):
    """Pooled or token by token, to 1e-5; what is asked, known and computed is counted once."""
    X, _ = sentences
    for pooling in ("mean", "cls", "none"):
        memory_cache().clear()
        kind = {"layer": "hidden_3", "pooling": pooling, "device": "cpu"}
        featurizer = PretrainedTextFeaturizer(bert, keep_layers=["hidden_1"], **kind).fit(X)
        plain = PretrainedTextFeaturizer(bert, cache=None, **kind).fit_transform(X)
        found = rows(featurizer, X, way(featurizer, aside(featurizer, X, len(X))))
        for one, other in zip(found, plain, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert featurizer.counts_.asked == len(X)
        assert featurizer.counts_.computed == len(set(X))


def test_texts_read_in_windows_are_refused_with_what_to_do(bert, sentences):
    """A row is made of several windows, and a tail reads the tokens of one."""
    X, y = sentences
    featurizer = PretrainedTextFeaturizer(bert, truncation="windows", pooling="mean")
    with pytest.raises(ValueError, match="Use truncation='cut' there, or train_from=None"):
        FineTunedClassifier(featurizer, train_from="hidden_2").fit(X, y)
    frozen = FineTunedClassifier(featurizer, train_from=None).fit(X, y)
    assert frozen.predict(X[:3]).shape == (3,)


def test_rows_by_way_of_a_lower_layer_are_the_same_rows(digits):
    """To 1e-5, as any row; and a file keeps nothing aside."""
    X, _ = digits
    torch.manual_seed(1)
    memory_cache().clear()
    network = Deep()
    plain, trunk = (
        ModuleFeaturizer(network, layer="stages.5", pooling="none", device="cpu", cache=c).fit(X)
        for c in (None, "memory")
    )
    below = aside(trunk, X, len(X))
    ModuleFeaturizer(network, layer=below, pooling="none", device="cpu").fit_transform(X)
    computed = memory_cache().store.counts["forwards"]
    found = rows(trunk, X, way(trunk, below))

    assert below == "stages.3"
    assert memory_cache().store.counts["forwards"] == computed
    np.testing.assert_allclose(found, plain.transform(X), rtol=1e-5, atol=1e-6)
    assert aside(trunk, X, 10**9) is None
    assert aside(plain, X, len(X)) is None


def test_a_file_holds_the_recipe_the_head_and_the_changed_tensors(tmp_path):
    """MobileNetV2 trained from features.17: no more than 50 kB beside them, in a new process."""
    X, y = load_digits(n_class=5, return_X_y=True)
    featurizer = PretrainedImageFeaturizer(
        image_shape=(8, 8), value_range=(0, 16), image_size=32, device="cpu"
    )
    estimator = FineTunedClassifier(
        featurizer, train_from="features.17", epochs=1, validation_fraction=0, random_state=0
    ).fit(X[:40], y[:40])
    expected = estimator.predict_proba(X[:5])
    data = pickle.dumps(estimator)
    changed = sum(tensor.nbytes for tensor in estimator.changed_.values())
    assert set(estimator.changed_) == {
        "features.18.0.weight", "features.18.1.weight", "features.18.1.bias"
    }  # fmt: skip
    assert changed < len(data) < changed + 50_000

    (tmp_path / "tuned.pkl").write_bytes(data)
    np.save(tmp_path / "X.npy", X[:5])
    np.save(tmp_path / "expected.npy", expected)
    program = """
import pickle, sys, numpy as np
from pathlib import Path
place = Path(sys.argv[1])
tuned = pickle.loads((place / "tuned.pkl").read_bytes())
found = tuned.predict_proba(np.load(place / "X.npy"))
np.testing.assert_allclose(found, np.load(place / "expected.npy"), atol=1e-5)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=300)


def make_small():
    """Make the network with weights that another seed would give otherwise."""
    return Small()


def test_another_trunk_is_refused(digits, tmp_path):
    """Tuned tensors belong to the weights that they were tuned from."""
    X, y = digits
    torch.manual_seed(0)
    torch.save(Small().state_dict(), tmp_path / "weights.pt")
    featurizer = ModuleFeaturizer(make_small, weights=tmp_path / "weights.pt", device="cpu")
    estimator = FineTunedClassifier(
        featurizer, train_from="first", epochs=1, validation_fraction=0, random_state=0
    ).fit(X, y)
    data = pickle.dumps(estimator)
    torch.manual_seed(1)
    torch.save(Small().state_dict(), tmp_path / "weights.pt")

    with pytest.raises(WeightsError, match="pinned"):
        pickle.loads(data).predict(X)


def test_an_interrupt_leaves_the_best_so_far(small, digits, monkeypatch):
    """Ctrl-C in the third epoch is raised, and the estimator predicts."""
    X, y = digits
    judged = []
    given = Training._note

    def note(self, *args, **record):
        judged.append(1)
        if len(judged) == 4:
            raise KeyboardInterrupt
        return given(self, *args, **record)

    monkeypatch.setattr(Training, "_note", note)
    estimator = tuned(small, epochs=10)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y)

    assert [record["epoch"] for record in estimator.history_] == [0, 1, 2]
    assert estimator.best_epoch_ > 0
    assert estimator.score(X, y) > 0.3
    assert pickle.loads(pickle.dumps(estimator)).score(X, y) == estimator.score(X, y)


def test_rows_of_a_group_are_held_out_together(small, digits, monkeypatch):
    """No group is on both sides."""
    X, y = digits
    groups = np.arange(len(y)) // 10
    seen = []
    given = Training.run

    def run(self, rows, *args, **how):
        seen.append(set(groups[rows]))
        return given(self, rows, *args, **how)

    monkeypatch.setattr(Training, "run", run)
    estimator = tuned(small, epochs=1, validation_fraction=0.3).fit(X, y, groups=groups)

    assert len(seen[0]) == 21
    if estimator.best_epoch_:
        assert len(seen[1]) == 30  # then all rows are trained on


def test_verbose_shows_how_far_training_is(small, digits, capsys):
    """A bar over the epochs, with the time that is left; without verbose nothing is written."""
    tuned(small).fit(*digits)
    assert capsys.readouterr().err == ""
    tuned(small, verbose=True).fit(*digits)

    assert re.search(r"training: 100%.* 4/4 .*epoch", capsys.readouterr().err)


def test_patience_ends_it_early(small, digits):
    """After two epochs that are no better."""
    X, y = digits
    estimator = tuned(small, learning_rate=50.0, epochs=9, patience=2).fit(X, y)

    assert len(estimator.history_) == 3


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("train_from", [None, "first"])
def test_classifiers_of_all_kinds(small, digits, kind, train_from):
    """Labels as text or columns; probabilities agree with what is predicted."""
    X, y = digits
    labels = {
        "binary": np.where(y < 5, "low", "high"),
        "multiclass": y,
        "multilabel": np.stack([y < 5, y % 2 == 0], axis=1).astype(int),
    }[kind]
    estimator = tuned(small, train_from=train_from).fit(X, labels)
    predicted, likely = estimator.predict(X), estimator.predict_proba(X)
    scores = estimator.decision_function(X)

    assert estimator.score(X, labels) > 0.6
    if kind == "multilabel":
        assert predicted.shape == likely.shape == scores.shape == labels.shape
        np.testing.assert_array_equal(predicted, likely > 0.5)
        return
    np.testing.assert_allclose(likely.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(predicted, estimator.classes_[likely.argmax(axis=1)])
    assert scores.shape == ((len(X),) if kind == "binary" else (len(X), 10))


@pytest.mark.parametrize("objective", ["squared_error", "contrastive"])
@pytest.mark.parametrize("targets", [1, 2])
def test_regressors_of_one_and_several_numbers(small, digits, objective, targets):
    """Whatever the units of the targets."""
    X, y = digits
    numbers = np.stack([1000 + 50 * y, -0.01 * y], axis=1)[:, :targets].squeeze()
    estimator = FineTunedRegressor(
        ModuleFeaturizer(small, device="cpu"), train_from="first", objective=objective, epochs=4,
        learning_rate=1e-2, random_state=0,
    ).fit(X, numbers)  # fmt: skip

    assert estimator.predict(X).shape == numbers.shape
    assert estimator.score(X, numbers) > 0.5


def test_contrastive_training_takes_any_head(small, digits):
    """The head is fitted on tuned features; few rows make many pairs."""
    X, y = digits
    estimator = tuned(small, objective="contrastive", head=KNeighborsClassifier(3)).fit(
        X[:60], y[:60]
    )

    assert estimator.head_coef_ is None
    assert estimator.score(X[60:], y[60:]) > 0.5
    assert not hasattr(estimator, "decision_function")


def test_a_head_that_is_not_linear_is_refused_where_it_would_be_trained(small, digits):
    """With what to do instead."""
    X, y = digits

    with pytest.raises(ValueError, match=r"not linear in the features.*objective='contrastive'"):
        tuned(small, head=SVC()).fit(X, y)


@pytest.mark.parametrize(
    "head",
    [
        LogisticRegression(max_iter=1000),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    ],
    ids=["plain", "scaled"],
)
def test_a_linear_head_is_read_as_a_matrix(digits, head):
    """Scalers included."""
    X, y = digits
    head.fit(X, y)
    coef, intercept = affine(head.decision_function, X.astype(np.float32), "head")

    np.testing.assert_allclose(X @ coef.T + intercept, head.decision_function(X), atol=1e-6)


def test_weights_of_rows_and_classes_count(small, digits):
    """A row of no weight is as if it were not there; a heavy class is found more often."""
    X, y = digits
    wrong = np.where(np.arange(len(y)) < 100, (y + 1) % 10, y)
    ours = tuned(small, validation_fraction=0)
    weighed = clone(ours).fit(X, wrong, sample_weight=(np.arange(len(y)) >= 100).astype(float))
    without = clone(ours).fit(X[100:], y[100:])
    np.testing.assert_allclose(weighed.predict_proba(X), without.predict_proba(X), atol=1e-4)

    y = (y < 2).astype(int)
    plain = clone(ours).fit(X[:60], y[:60])
    heavy = clone(ours).set_params(class_weight={0: 1, 1: 100}).fit(X[:60], y[:60])
    assert heavy.predict(X).sum() >= plain.predict(X).sum()


def test_the_tuned_features_go_ahead_of_another_estimator(small, digits):
    """As a transformer, with names."""
    X, y = digits
    pipeline = make_pipeline(tuned(small).set_output(transform="pandas"), SVC()).fit(X, y)
    frame = pipeline[0].transform(X)

    assert frame.shape == (300, 64)
    assert list(frame.columns[:2]) == ["Small_penultimate_0", "Small_penultimate_1"]
    assert pipeline.score(X, y) > 0.8


@pytest.mark.parametrize(
    ("featurizer", "augment", "said"),
    [
        (PretrainedImageFeaturizer(augment="flip"), None, "averages two views"),
        (PretrainedImageFeaturizer(), "crop", "augment='crop' would make new pixels in every"),
        (ModuleFeaturizer(Small()), "flip", "ModuleFeaturizer does not read images"),
    ],
)
def test_views_that_are_not_computed_once_are_refused(pictures, featurizer, augment, said):
    """In one sentence, before anything is computed."""
    X = pictures if hasattr(featurizer, "augment") else np.zeros((2, 64))
    with pytest.raises(ValueError, match=said):
        FineTunedClassifier(featurizer, augment=augment).fit(X, [0, 1])


@pytest.fixture
def patches():
    """Give pieces of photographs, and which photograph each is from."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    X = [photo[i : i + 64, j : j + 64] for photo in photos for i in (0, 64, 128) for j in (0, 64)]
    return X, np.repeat([0, 1], 6)


def of_pictures(**parameters):
    torch.manual_seed(0)
    featurizer = PretrainedImageFeaturizer(
        TinyConvNet().eval(), preprocessing=to_tensor, device="cpu", keep_layers=None
    )
    given = {"train_from": "stem", "epochs": 2, "validation_fraction": 0, "random_state": 0}
    return FineTunedClassifier(featurizer, **given | parameters)


def to_tensor(image):
    return torch.from_numpy(np.array(image.resize((64, 64)))).permute(2, 0, 1).float().div(255)


def test_both_views_of_a_picture_go_through_the_trunk_once(patches, forwarded):
    """Rows of their own in the cache: in later epochs and fits nothing is computed."""
    X, y = patches
    memory_cache().clear()
    of_pictures(augment="flip").fit(X, y)
    assert sum(forwarded) == 2 * len(X)
    of_pictures(augment="flip", epochs=3).fit(X, y)
    of_pictures().fit(X, y)
    assert sum(forwarded) == 2 * len(X)


def test_the_mirrored_view_is_what_the_trunk_gives_for_the_mirrored_picture(patches):
    """And one of both is trained on, by chance."""
    X, _ = patches
    trunk = of_pictures().featurizer.set_params(layer="stem", pooling="none").fit(X)
    both = Activations(trunk, X, len(X), flip=True)
    mirrored = trunk.transform([np.ascontiguousarray(x[:, ::-1]) for x in X])

    assert both.views == 2
    np.testing.assert_array_equal(both.take(np.arange(12))[0], trunk.transform(X))
    np.testing.assert_allclose(both.take(np.arange(12, 24))[0], mirrored, rtol=1e-5, atol=1e-6)


def test_a_step_is_taken_on_views_of_both_kinds(patches, monkeypatch):
    """Targets stay those of the picture, and prediction reads the picture as it is."""
    X, y = patches
    seen = []
    take = Activations.take
    monkeypatch.setattr(
        Activations, "take", lambda self, rows: seen.append(rows) or take(self, rows)
    )
    estimator = of_pictures(augment="flip", epochs=8).fit(X, y)
    trained = np.concatenate(seen[1:])

    assert set(trained % len(X)) == set(range(len(X)))
    assert 0.2 < np.mean(trained >= len(X)) < 0.8
    plain = estimator.trunk_.transform(X)
    monkeypatch.undo()
    np.testing.assert_array_equal(estimator.trunk_.transform(X), plain)
    assert estimator.score(X, y) >= 0.5


@pytest.mark.parametrize("place", ["memory", "file", "folder", None])
def test_records_in_float16_are_the_same_numbers_computed_or_known(patches, tmp_path, place):
    """Half of the bytes; another recipe than rows in float32, and equal wherever they come from."""
    X, y = patches
    memory_cache().clear()
    cache = {"file": tmp_path / "rows.sqlite", "folder": f"{tmp_path}/rows/"}.get(place, place)
    estimator = of_pictures(record_dtype="float16")
    estimator.featurizer.set_params(cache=cache)
    estimator.fit(X, y)
    trunk = estimator.trunk_
    first, again = trunk.transform(X), trunk.transform(X)
    exact = clone(trunk).fit(X).transform(X)

    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, exact.astype(np.float16).astype(np.float32))
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_allclose(loaded.predict_proba(X), estimator.predict_proba(X), rtol=1e-5)


def test_records_in_float16_take_half_of_the_bytes(patches):
    """In the cache, and in what is said beforehand."""
    X, y = patches
    sizes = {}
    for dtype in ("float32", "float16"):
        memory_cache().clear()
        of_pictures(record_dtype=dtype).fit(X, y)
        sizes[dtype] = memory_cache().stats()["bytes"]
    assert 0.5 <= sizes["float16"] / sizes["float32"] < 0.55


def test_numbers_beyond_float16_are_refused(digits):
    """No row is stored as infinity."""
    X, y = digits
    torch.manual_seed(0)
    network = Small()
    with torch.no_grad():
        network.first[0].weight.mul_(1e6)
    with pytest.raises(ValueError, match="float16 holds numbers up to 65504"):
        tuned(network, record_dtype="float16").fit(X, y)


def test_activations_that_do_not_fit_memory_are_read_from_a_file(small, digits, capsys):
    """The same rows; what they take is told before they are computed."""
    X, _ = digits
    trunk = ModuleFeaturizer(small, layer="first", pooling="none").fit(X)
    known = Activations(trunk, X, len(X))
    trunk.set_params(cache=None)
    held = Activations(trunk, X, len(X))
    filed = Activations(trunk, X, len(X), most=1000, shown=True)
    chosen = np.array([7, 0, 299, 7])

    assert "300 activations of first take 0 MiB" in capsys.readouterr().err
    taken, lengths = filed.take(chosen)
    assert lengths is None
    np.testing.assert_array_equal(taken, held.take(chosen)[0])
    np.testing.assert_array_equal(taken, known.take(chosen)[0])
    filed.close()
    np.testing.assert_allclose(taken, trunk.transform(X[chosen]), rtol=1e-5, atol=1e-6)


def test_activations_that_the_cache_loses_are_computed_again(small, digits, tmp_path):
    """Those of a file are read from it, and no copy of them is made."""
    X, _ = digits
    cache = FeatureCache(tmp_path / "rows.sqlite")
    trunk = ModuleFeaturizer(small, layer="first", pooling="none", cache=cache).fit(X)
    activations = Activations(trunk, X, len(X))
    expected = trunk.transform(X[:5])
    cache.clear()
    assert isinstance(activations._rows, InCache)
    np.testing.assert_allclose(activations.take(np.arange(5))[0], expected, rtol=1e-4)


def test_rows_that_a_disk_takes_in_parts_are_read_as_they_were(monkeypatch):
    """A write that takes fewer bytes than it was given does not shift the rows behind it."""
    made = tempfile.TemporaryFile

    class Nearly:
        """A file on a disk that takes ten bytes at a time."""

        def __init__(self, **options):
            self._file = made(**options)
            self.fileno, self.close = self._file.fileno, self._file.close

        def write(self, data):
            return self._file.write(bytes(data[:10]))

    monkeypatch.setattr(tempfile, "TemporaryFile", Nearly)
    rows = [np.full((2 + i, 3), i, np.float32) for i in range(5)]
    lying = Copied(most=rows[0].nbytes)
    for row in rows:
        lying.add(row, None)

    for i, row in enumerate(lying.take(range(5))):
        np.testing.assert_array_equal(row, rows[i])
    lying.close()


def test_a_cache_that_is_too_small_is_told_of_with_the_choices(small, digits, tmp_path):
    """Before anything is computed."""
    X, y = digits
    X, y = np.tile(X, (20, 1)), np.tile(y, 20)
    featurizer = ModuleFeaturizer(small, cache=FeatureCache(tmp_path / "rows", max_size=1 << 20))
    with pytest.warns(CacheWarning, match="6,000 activations of first take 1 MiB, and the cache"):
        FineTunedClassifier(featurizer, train_from="first", epochs=1).fit(X, y)


def test_rows_that_cannot_be_read_are_left_out_of_training(small, digits):
    """With on_error="nan", as a featurizer marks them."""
    X, y = digits
    X = X.copy()
    X[5] = np.nan
    featurizer = ModuleFeaturizer(small, on_error="nan", device="cpu")
    with pytest.warns(UserWarning, match="1 items of X"):
        estimator = FineTunedClassifier(
            featurizer, train_from="first", epochs=2, random_state=0
        ).fit(X, y)

    assert estimator.score(X[10:], y[10:]) > 0.5


class Plain:
    """The same training, written as a tutorial would."""

    def __init__(self, network, rate, epochs):
        self.network, self.rate, self.epochs = network, rate, epochs

    def fit(self, X, y):
        x = torch.from_numpy(X).float()
        with torch.no_grad():
            below = self.network.first(x / 4)
        above = nn.Sequential(self.network.second, self.network.third).eval()
        with torch.no_grad():
            features = above(below).numpy()
        probe = LogisticRegression(max_iter=1000).fit(features, y)
        self.head = nn.Linear(64, 10)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(probe.coef_))
            self.head.bias.copy_(torch.from_numpy(probe.intercept_))
        self.above = above
        learning = [*above.parameters(), *self.head.parameters()]
        optimizer = torch.optim.AdamW(learning, lr=self.rate, weight_decay=0.01)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(x)).split(32):
                optimizer.zero_grad()
                loss(self.head(above(below[batch])), torch.from_numpy(y)[batch]).backward()
                optimizer.step()
        return self

    def score(self, X, y):
        with torch.no_grad():
            below = self.network.first(torch.from_numpy(X).float() / 4)
            found = self.head(self.above(below)).argmax(1).numpy()
        return (found == y).mean()


def test_the_accuracy_is_that_of_a_plain_script(digits):
    """Which trains the same layers for as long: within one standard error over seeds."""
    X, y = digits
    ours, plain = [], []
    for seed in range(4):
        torch.manual_seed(seed)
        network = Small()
        estimator = tuned(network, epochs=20, validation_fraction=0, random_state=seed)
        ours.append(estimator.fit(X[:200], y[:200]).score(X[200:], y[200:]))
        plain.append(Plain(network, 1e-2, 20).fit(X[:200], y[:200]).score(X[200:], y[200:]))

    apart = np.subtract(ours, plain)
    assert np.mean(apart) > -max(0.02, np.std(apart, ddof=1) / np.sqrt(len(apart)))


def test_a_ridge_starts_a_regressor(small, digits):
    """Whatever it was fitted with."""
    X, y = digits
    head = Ridge(alpha=100.0)
    estimator = FineTunedRegressor(
        ModuleFeaturizer(small, device="cpu"), train_from="first", head=head, epochs=1,
        learning_rate=1e-12, validation_fraction=0, random_state=0,
    ).fit(X, y)  # fmt: skip
    frozen = clone(estimator).set_params(train_from=None).fit(X, y)

    np.testing.assert_allclose(estimator.predict(X), frozen.predict(X), rtol=1e-3, atol=1e-3)
