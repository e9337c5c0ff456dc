"""scikit-learn's own checks, all of them, over every estimator.

An estimator of images reads no numeric table, so most checks would skip it. Here the one method
that turns X into items is replaced by one that reads rows; all else is the real estimator.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from torch import nn

from sklearn_pretrained import (
    BertCLSFeaturizer,
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
)
from sklearn_pretrained._sklearn import validate_rows
from sklearn_pretrained._text import MINILM
from sklearn_pretrained.inputs import read_images, read_texts


class ImagesFromRows(PretrainedImageFeaturizer):
    """The image featurizer, reading each numeric row as the pixels of a small picture."""

    def _read(self, X, *, reset):
        X = validate_rows(self, X, reset=reset, allow_nan=False)
        bounded = np.arctan(np.asarray(X, dtype=np.float64)) / np.pi + 0.5
        return read_images([np.resize(row, (8, 8)) for row in bounded])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


class TextsFromRows(PretrainedTextFeaturizer):
    """The text featurizer, reading each numeric row as a short text."""

    def _read(self, X, *, reset):
        X = validate_rows(self, X, reset=reset, allow_nan=False)
        return read_texts([" ".join(f"{number:.3f}" for number in row[:4]) for row in X])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


class ClassTokensFromRows(TextsFromRows, BertCLSFeaturizer):
    """The preset, reading each numeric row as a short text."""

    def __init__(
        self, model=MINILM, *, weights="default", layer="penultimate", pooling="cls",
        max_length=None, truncation="warn", stride=None, prompt=None, batch_size="auto",
        device="auto", engine="torch", dtype="float32", cache="memory", keep_layers="auto",
        on_error="raise", output="numpy", verbose=False,
    ):  # fmt: skip
        super().__init__(
            model, weights=weights, layer=layer, pooling=pooling, max_length=max_length,
            truncation=truncation, stride=stride, prompt=prompt, batch_size=batch_size,
            device=device, engine=engine, dtype=dtype, cache=cache, keep_layers=keep_layers,
            on_error=on_error, output=output, verbose=verbose,
        )  # fmt: skip


class AnyWidth(nn.Module):
    """A network that reads rows of any width."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(8, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad or cut to eight numbers, and squash them so that none is too large."""
        x = nn.functional.pad(torch.atan(x), (0, max(0, 8 - x.shape[1])))[:, :8]
        return self.head(torch.tanh(self.hidden(x)))


ESTIMATORS = [
    ImagesFromRows(image_size=32, layer="features.2", device="cpu"),
    ImagesFromRows(image_size=32, layer="features.2", device="cpu", cache=None, batch_size=3),
    ModuleFeaturizer(AnyWidth, device="cpu"),
    TextsFromRows(layer=1, device="cpu"),
    ClassTokensFromRows(layer=1, device="cpu"),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    """Each of scikit-learn's checks passes."""
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_the_checks_really_ran(estimator):
    """A suite that checks nothing would pass too: at least 40 checks were made."""
    names = [str(check) for _, check in estimator_checks_generator(estimator, legacy=True)]

    assert len(names) >= 40


# The checks that scikit-learn runs on its own estimators and leaves out of check_estimator.
OWN_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_n_features_in_after_fitting",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


# These checks fit on a frame and transform an array, to see what comes out.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names, but")
@pytest.mark.parametrize("name", OWN_CHECKS)
@pytest.mark.parametrize(
    "estimator", [ESTIMATORS[0], *ESTIMATORS[2:]], ids=lambda e: type(e).__name__
)
def test_scikit_learn_would_accept_the_estimator_as_its_own(estimator, name):
    """The checks that are for scikit-learn's own estimators pass too."""
    getattr(estimator_checks, name)(type(estimator).__name__, clone(estimator))
