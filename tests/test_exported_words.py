"""Errors of exported files: they advise what whoever has the file alone can do."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, export_onnx
from sklearn_pretrained.exceptions import BadItemError, FormatError
from sklearn_pretrained.exported import load
from sklearn_pretrained.inputs import OutsideRangeError

from .hostile import trial


def written(featurizer, path, examples, **how):
    """Write a file, and open it."""
    export_onnx(featurizer, path, examples=examples, **how)
    return load(path, threads=1)


@pytest.fixture(scope="module", params=["prepared", "pixels"])
def photos(request, patches, tmp_path_factory):
    """A file over images, whichever part of it resizes."""
    featurizer = PretrainedImageFeaturizer(image_size=64, layer=1, cache=None).fit(patches)
    path = tmp_path_factory.mktemp("words") / "photos.onnx"
    return written(featurizer, path, patches[:2], inputs=request.param)


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (np.full((9, 9, 3), 200, np.float32), "float32 numbers from 200 to 200, outside 0 to 1"),
        (np.full((9, 9, 3), 200, np.int64), "int64 numbers, whose range is not known"),
    ],
)
def test_numbers_outside_the_range_are_met_with_what_the_file_reads(photos, image, what):
    """It takes no value_range: that of the featurizer was settled when it was written."""
    with pytest.raises(BadItemError, match=f"^Item 0 of X holds {what}. This file reads") as error:
        photos.transform([image])

    assert "bring the numbers of all of X to one of these" in str(error.value)
    assert "pass value_range" not in str(error.value)


def test_a_range_that_the_featurizer_had_is_the_files(patches, tmp_path):
    """And is named."""
    featurizer = PretrainedImageFeaturizer(
        image_size=64, layer=1, cache=None, image_shape=(8, 8), value_range=(0, 16)
    )
    X = np.arange(128.0).reshape(2, 64) % 16
    file = written(featurizer.fit(X), tmp_path / "digits.onnx", X)

    with pytest.raises(BadItemError, match="reads numbers from 0 to 16, as its featurizer's"):
        file.transform(X * 2)


def test_a_table_is_not_images(photos):
    """The advice is for an array, since a file takes no image_shape."""
    with pytest.raises(ValueError, match=r"table of shape \(2, 64\).* X.reshape\(-1, height"):
        photos.transform(np.zeros((2, 64)))


def test_a_text_that_is_too_long_is_refused_with_what_can_be_done(tmp_path):
    """Shorten it, or write another file."""
    encoder = trial.texts(on_error="raise").set_params(truncation="error").fit(["a text"])
    file = written(encoder, tmp_path / "texts.onnx", ["a text"])

    with pytest.raises(BadItemError, match="shorten it, or export a pipeline with truncation="):
        file.transform(["word " * 5000])


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A file over rows of numbers, and where it lies."""
    X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    path = tmp_path_factory.mktemp("words") / "rows.onnx"
    return written(ModuleFeaturizer(torch.nn.Linear(8, 400)).fit(X), path, X), path


def test_no_rows_are_refused_as_scikit_learn_refuses_them(rows):
    """With its own words."""
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        rows[0].transform(np.zeros((0, 8)))


@pytest.mark.parametrize("how", [{"threads": 0}, {"threads": -1}, {"batch_size": 0}])
def test_threads_and_batches_are_positive(how, rows):
    """And the error names the parameter."""
    (name,) = how
    with pytest.raises(ValueError, match=f"{name}={how[name]} is not a positive whole number"):
        load(rows[1], **how)


def test_a_path_that_is_not_a_file_and_a_file_that_is_not_onnx_are_told_apart(tmp_path):
    """Before ONNX Runtime speaks in its own words."""
    (tmp_path / "pipeline.joblib").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "empty.onnx").touch()
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(FileNotFoundError, match="does not exist, or is not a file"):
            load(path)
    for name in ("pipeline.joblib", "empty.onnx"):
        with pytest.raises(FormatError, match=f"{name}' is damaged, or is not an ONNX file"):
            load(tmp_path / name)


def test_weights_that_were_left_behind_are_named(monkeypatch, tmp_path):
    """The second file goes where the first one goes."""
    monkeypatch.setattr("sklearn_pretrained.export._beside._MOST_BYTES", 1000)
    X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    path = tmp_path / "large.onnx"
    export_onnx(ModuleFeaturizer(torch.nn.Linear(8, 400), layer="output").fit(X), path, examples=X)
    (tmp_path / "large.onnx.data").unlink()

    with pytest.raises(FileNotFoundError, match=r"large.onnx.data' does not exist, and holds the"):
        load(path)


def test_an_error_about_a_range_survives_its_way_between_processes():
    """As joblib and multiprocessing send it."""
    error = OutsideRangeError("holds 7", "pass another range")

    assert str(pickle.loads(pickle.dumps(error))) == "holds 7; pass another range"
    assert isinstance(error, BadItemError)
