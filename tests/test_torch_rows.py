"""Rows as tensors: the same numbers, on the device, and scikit-learn's estimators over them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_pretrained import (
    FineTunedClassifier,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
)

_PROGRAM = """
import numpy as np, sklearn, torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_pretrained import PretrainedImageFeaturizer

sklearn.set_config(array_api_dispatch=True)
X, y = load_digits(n_class=2, return_X_y=True)
X, y = list(X[:60].reshape(-1, 8, 8)), y[:60]
options = dict(value_range=(0, 16), image_size=32, layer="features.3", device="cpu")
for head in (
    LogisticRegression(), RidgeClassifier(), Ridge(),
    make_pipeline(StandardScaler(), PCA(4), LogisticRegression()),
):
    found = []
    for output in ("numpy", "torch"):
        pipeline = make_pipeline(PretrainedImageFeaturizer(output=output, **options), head)
        predicted = pipeline.fit(X, y).predict(X)
        found.append(np.asarray(predicted))
        scores = cross_val_score(pipeline, X, y, cv=2)
        print(type(head).__name__, type(predicted).__name__, np.isfinite(scores).all())
    assert np.allclose(*found, atol=1e-3), head
rows = PretrainedImageFeaturizer(output="torch", **options).fit_transform(X)
lda = LinearDiscriminantAnalysis().fit(rows, torch.from_numpy(y))
print("LDA", type(lda.predict(rows)).__name__)
"""


def test_tensors_are_the_rows(patches):
    """On the device that the network ran on; also from a cache, and for one row."""
    plain = PretrainedImageFeaturizer(image_size=64, device="cpu").fit_transform(patches)
    featurizer = PretrainedImageFeaturizer(image_size=64, output="torch", device="cpu")
    rows = featurizer.fit_transform(patches)

    assert isinstance(rows, torch.Tensor)
    assert rows.device == torch.device("cpu")
    assert rows.dtype == torch.float32
    assert np.array_equal(rows.numpy(), plain)
    assert torch.equal(featurizer.transform(patches[:1]), rows[:1])


def test_how_rows_are_handed_over_may_change_after_fit(patches):
    """It decides no number; clones and pickles know it."""
    featurizer = PretrainedImageFeaturizer(image_size=64).fit(patches)
    tensors = featurizer.set_params(output="torch").transform(patches[:2])

    assert isinstance(tensors, torch.Tensor)
    assert isinstance(pickle.loads(pickle.dumps(featurizer)).transform(patches[:1]), torch.Tensor)
    assert clone(featurizer).output == "torch"


def test_scikit_learn_computes_where_the_rows_are():
    """With the same predictions as over arrays, and in cross-validation."""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=300,
        env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]

    assert [kind for _, kind, *_ in told] == ["ndarray", "Tensor"] * 4 + ["Tensor"]
    assert all(finite == "True" for _, _, *rest in told for finite in rest)


def test_tokens_of_texts_make_no_tensor():
    """Since each text has a length of its own."""
    featurizer = PretrainedTextFeaturizer(pooling="none", output="torch")
    with pytest.raises(ValueError, match="output='torch' makes one tensor"):
        featurizer.fit_transform(["a text", "another longer text"])


def test_what_is_tuned_reads_arrays(patches):
    """Whatever the featurizer would hand over."""
    tuned = FineTunedClassifier(
        PretrainedImageFeaturizer(image_size=64, output="torch"), train_from=None
    ).fit(patches, [0, 1] * 12)

    assert isinstance(tuned.transform(patches[:2]), np.ndarray)
    assert tuned.predict(patches[:2]).shape == (2,)
