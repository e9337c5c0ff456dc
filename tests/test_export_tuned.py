"""Fine-tuned estimators as files: trunk, trained layers and head as one graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import (
    FineTunedClassifier,
    FineTunedRegressor,
    ModuleFeaturizer,
    export_onnx,
)
from sklearn_pretrained.exported import load


def rows():
    """Rows, and scores that a network can learn."""
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 8)).astype(np.float32)
    return X, X @ random.normal(size=(8, 3))


def featurizer():
    """Read a network of two stages."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 12), torch.nn.Tanh()
    )
    return ModuleFeaturizer(network, layer="output")


def tuned(kind, y, **options):
    options = {"epochs": 3, "validation_fraction": 0, "random_state": 0, **options}
    return kind(featurizer(), train_from=0, **options).fit(rows()[0], y)


X, SCORES = rows()
CASES = {
    "two": (FineTunedClassifier, np.array(["no", "yes"])[(SCORES[:, 0] > 0).astype(int)], {}),
    "three": (FineTunedClassifier, SCORES.argmax(1) + 5, {}),
    "several": (FineTunedClassifier, (SCORES > 0).astype(int), {}),
    "pairs": (
        FineTunedClassifier,
        np.array(["a", "b", "c"])[SCORES.argmax(1)],
        {"objective": "contrastive"},
    ),
    "frozen": (FineTunedClassifier, np.array(["a", "b", "c"])[SCORES.argmax(1)], {"epochs": 1}),
    "number": (FineTunedRegressor, SCORES[:, 0], {}),
    "numbers": (FineTunedRegressor, SCORES, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fine_tuned_estimator_gives_the_same_from_a_file(case, tmp_path):
    """Whatever it predicts, and however its head was made."""
    kind, y, options = CASES[case]
    estimator = tuned(kind, y, **options)
    if case == "frozen":
        estimator = kind(featurizer(), train_from=None).fit(X, y)
    facts = export_onnx(estimator, tmp_path / "tuned.onnx", examples=X[:20])
    file = load(tmp_path / "tuned.onnx")

    np.testing.assert_allclose(file.transform(X), estimator.transform(X), atol=1e-5)
    if kind is FineTunedRegressor:
        np.testing.assert_allclose(file.predict(X), estimator.predict(X), atol=1e-4)
        return
    assert file.predict(X).tolist() == estimator.predict(X).tolist()
    np.testing.assert_allclose(file.predict_proba(X), estimator.predict_proba(X), atol=1e-4)
    assert file.classes_.tolist() == estimator.classes_.tolist()
    assert facts["steps"] == ["FineTunedClassifier"]
    assert facts["provenance"]["trained_from"] == estimator.train_from_


def test_tuned_features_with_another_head(tmp_path):
    """The fine-tuned estimator stands first in a pipeline; its own head is not in the file."""
    y = SCORES.argmax(1)
    fitted = tuned(FineTunedClassifier, y)
    pipeline = make_pipeline(fitted, LogisticRegression())
    pipeline[-1].fit(fitted.transform(X), y)
    export_onnx(pipeline, tmp_path / "tuned.onnx", examples=X[:20])

    probabilities = load(tmp_path / "tuned.onnx").predict_proba(X)
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), atol=1e-4)
