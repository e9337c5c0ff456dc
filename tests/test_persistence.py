"""Fitted estimators in files: small by default, whole on request, opened elsewhere and later."""

from __future__ import annotations

import io
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklearn_pretrained
from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    backbones,
    embed_weights,
    list_layers,
    skops_trusted,
)
from sklearn_pretrained.exceptions import FormatError, RandomWeightsWarning, WeightsError
from sklearn_pretrained.running import eager
from tests.conftest import make_mlp, relative_error
from tests.fixtures import make as fixtures

TEXTS = ["The cat sat on the mat.", "Stocks fell sharply, said the bank.", "Ça va ?"]


def _joblib(estimator, compress=0):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer, compress=compress)
    return buffer.getvalue()


WAYS = {
    "pickle": (pickle.dumps, pickle.loads),
    "cloudpickle": (cloudpickle.dumps, pickle.loads),
    "joblib": (_joblib, lambda data: joblib.load(io.BytesIO(data))),
    "joblib compressed": (lambda e: _joblib(e, 3), lambda data: joblib.load(io.BytesIO(data))),
    "skops": (skops.io.dumps, lambda data: skops.io.loads(data, trusted=skops_trusted())),
}


def elsewhere(program, folder, **environment):
    """Run a program in a new process, in a folder, offline."""
    import os

    subprocess.run(
        [sys.executable, "-c", "import joblib, numpy as np\n" + program],
        cwd=folder,
        check=True,
        timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )


@pytest.fixture
def resnet_file(tmp_path):
    """Weights of a small ResNet, as torch.save writes them."""
    torch.manual_seed(0)
    network = backbones.find_image("resnet18", weights=None).build()
    path = tmp_path / "weights" / "resnet18.pth"
    path.parent.mkdir()
    torch.save(network.state_dict(), path)
    return path


# -- a file is a recipe


def test_a_resnet50_pipeline_is_saved_in_less_than_20_kilobytes(pictures):
    """Params, facts, digests and versions; the head's numbers are its own affair."""
    with pytest.warns(RandomWeightsWarning):
        pipeline = make_pipeline(
            PretrainedImageFeaturizer("resnet50", weights=None, layer=1), LogisticRegression()
        ).fit(pictures, [0, 1])

    assert len(_joblib(pipeline[0])) < 4_000
    assert len(_joblib(pipeline)) < 20_000


def test_a_pipeline_with_weights_from_a_file_predicts_alike_in_a_new_process(
    pictures, resnet_file, tmp_path
):
    """And says what to do when the file is not there."""
    pipeline = make_pipeline(
        PretrainedImageFeaturizer("resnet18", weights=str(resnet_file), layer=1, cache=None),
        LogisticRegression(),
    ).fit(pictures, [0, 1])
    joblib.dump(pipeline, tmp_path / "p.joblib")
    np.save(tmp_path / "expected.npy", pipeline.predict_proba(pictures))
    load = (
        "from sklearn.datasets import load_sample_images\n"
        "p, X = joblib.load('p.joblib'), load_sample_images().images\n"
    )
    check = "np.testing.assert_allclose(p.predict_proba(X), np.load('expected.npy'), rtol=1e-4)\n"
    elsewhere(load + check, tmp_path)

    copy = tmp_path / "copy.pth"
    shutil.move(resnet_file, copy)
    opened = joblib.load(tmp_path / "p.joblib")
    with pytest.raises(WeightsError, match=r"There is no weights file at .*resnet18.pth") as caught:
        opened.predict(pictures)
    assert "set_params(weights=" in str(caught.value)
    assert opened[0].weights_digest_ in str(caught.value)
    opened[0].set_params(weights=copy)
    np.testing.assert_allclose(opened.predict_proba(pictures), np.load(tmp_path / "expected.npy"))


def test_a_missing_text_encoder_is_an_error_that_says_how_to_get_it(tmp_path, monkeypatch):
    """Opened on a machine without the folder, whose path can then be set."""
    folder = backbones.find_text(PretrainedTextFeaturizer().model).folder
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    fitted = PretrainedTextFeaturizer(str(mine), cache=None).fit(TEXTS)
    expected = fitted.transform(TEXTS)
    data = pickle.dumps(fitted)
    shutil.move(mine, tmp_path / "moved")

    opened = pickle.loads(data)
    with pytest.raises(WeightsError, match=r"config.json, tokenizer.json and model.safetensors"):
        opened.transform(TEXTS)
    opened.set_params(model=str(tmp_path / "moved"))
    np.testing.assert_allclose(opened.transform(TEXTS), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there must be no GPU")
def test_a_featurizer_of_a_gpu_opens_on_a_machine_without_one(pictures):
    """device="cuda" is an error that names the way out; "auto" needs none."""
    fitted = PretrainedImageFeaturizer(layer=1).fit(pictures).set_params(device="cuda")
    opened = pickle.loads(pickle.dumps(fitted)).set_params(cache=None)

    with pytest.raises(ValueError, match=r"device='cuda' is not available.*device='auto'"):
        opened.transform(pictures)
    assert opened.set_params(device="auto").transform(pictures).shape == (2, 16)


def test_an_opened_file_gives_the_rows_of_the_one_that_was_saved(patches):
    """Although the one keeps every main layer, and the other stops after the one it needs."""
    fitted = PretrainedImageFeaturizer(layer="features.6", cache=None)
    expected = fitted.fit_transform(patches)
    opened = pickle.loads(pickle.dumps(fitted))

    assert relative_error(opened.transform(patches), expected) < 1e-5
    assert opened.counts_.computed == len(patches)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_saving_keeps_images_texts_and_rows(way, pictures):
    """In one estimator; the file holds nothing but plain state and named types."""
    dumps, loads = WAYS[way]
    estimators = [
        (PretrainedImageFeaturizer(layer=[1, 2], pooling="max"), pictures),
        (PretrainedTextFeaturizer(layer=1), TEXTS),
    ]
    for estimator, X in estimators:
        expected = estimator.fit_transform(X)
        opened = loads(dumps(estimator))
        np.testing.assert_allclose(opened.transform(X), expected, rtol=1e-5, atol=1e-6)
        assert opened.get_params() == estimator.get_params()
        assert opened.provenance() == estimator.provenance()


def test_what_skops_must_trust_is_the_estimators_alone(pictures):
    """One name for each featurizer in the file, and none for what scikit-learn brings."""
    pipeline = make_pipeline(PretrainedImageFeaturizer(layer=1), LogisticRegression())
    pipeline.fit(pictures, [0, 1])
    asked = skops.io.get_untrusted_types(data=skops.io.dumps(pipeline))

    assert asked == ["sklearn_pretrained.PretrainedImageFeaturizer"]
    names = [*sklearn_pretrained.__all__]
    estimators = [
        name for name in names if name.endswith(("Featurizer", "Classifier", "Regressor"))
    ]
    assert sorted(skops_trusted()) == [f"sklearn_pretrained.{name}" for name in sorted(estimators)]


# -- a file that stands alone


@pytest.mark.parametrize("way", WAYS)
def test_embedded_weights_need_no_file_on_the_machine(way, pictures, resnet_file):
    """The pinned digest, rows and names are those of the file that is gone."""
    dumps, loads = WAYS[way]
    fitted = PretrainedImageFeaturizer("resnet18", weights=str(resnet_file), layer=1, cache=None)
    expected = fitted.fit_transform(pictures)
    data = dumps(embed_weights(fitted))
    resnet_file.unlink()
    eager.unload()

    opened = loads(data)
    assert relative_error(opened.transform(pictures), expected) < 1e-5
    assert opened.weights_digest_ == fitted.weights_digest_
    assert list(opened.get_feature_names_out())[:1] == ["resnet18_layer1_0"]
    assert "layer1" in str(list_layers(opened))
    assert len(data) > 30_000_000
    assert len(dumps(fitted)) < 50_000  # skops writes JSON with indents


def test_an_embedded_text_encoder_stands_alone_in_a_new_process(tmp_path):
    """With tokenizer, pooling and prompts; the machine has no copy of its folder."""
    folder = tmp_path / "encoder"
    shutil.copytree(backbones.find_text(PretrainedTextFeaturizer().model).folder, folder)
    pipeline = ColumnTransformer([("t", PretrainedTextFeaturizer(str(folder)), 0)])
    frame = np.array([[text] for text in TEXTS], dtype=object)
    expected = pipeline.fit_transform(frame)
    joblib.dump(embed_weights(pipeline), tmp_path / "p.joblib", compress=1)
    np.save(tmp_path / "expected.npy", expected)
    np.save(tmp_path / "X.npy", frame)
    shutil.rmtree(folder)

    elsewhere(
        "p, X = joblib.load('p.joblib'), np.load('X.npy', allow_pickle=True)\n"
        "expected = np.load('expected.npy')\n"
        "np.testing.assert_allclose(p.transform(X), expected, rtol=1e-4, atol=1e-6)\n",
        tmp_path,
        TMPDIR=str(tmp_path),
    )
    assert list(tmp_path.glob("sklearn-pretrained-*")) == []


def test_weights_are_embedded_wherever_an_estimator_keeps_a_featurizer(pictures):
    """In a search's best pipeline; the original stays light, and a new fit lets go of them."""
    pipeline = make_pipeline(PretrainedImageFeaturizer(layer=1), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [1.0]}, cv=2)
    search.fit(pictures * 2, [0, 1, 0, 1])
    whole = embed_weights(search)

    assert len(pickle.dumps(search)) < 20_000
    assert len(pickle.dumps(whole)) > 10_000_000
    assert whole.predict(pictures).tolist() == [0, 1]
    assert len(pickle.dumps(whole.best_estimator_[0].fit(pictures))) < 20_000


def test_embedded_weights_of_a_function_that_makes_a_network():
    """A network of one's own has its tensors in the file, whoever makes it."""
    X = np.random.default_rng(0).normal(size=(5, 8))
    fitted = ModuleFeaturizer(make_mlp, cache=None).fit(X)
    whole = pickle.loads(pickle.dumps(embed_weights(fitted)))

    np.testing.assert_allclose(whole.transform(X), fitted.transform(X), rtol=1e-5, atol=1e-6)
    assert "weights.safetensors" in whole._embedded["files"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../evil.json", "never writes"),
        ("/etc/evil.json", "never writes"),
        ("a/b/c.json", "never writes"),
        ("C:evil.json", "never writes"),
        ("modeling.py", "never writes"),
        ("pytorch_model.bin", "never writes"),
        ("other.json", "are damaged"),
    ],
)
def test_embedded_files_cannot_leave_their_folder_or_be_changed(name, message, pictures):
    """Names are checked, and every byte."""
    whole = embed_weights(PretrainedImageFeaturizer(layer=1, cache=None).fit(pictures))
    whole._embedded["files"][name] = np.zeros(3, np.uint8)
    whole._embedded["sha256"] = "0" * 64

    with pytest.raises(WeightsError, match=message):
        whole.transform(pictures)


def test_what_cannot_be_embedded_is_said(pictures):
    """Random weights, and estimators without a featurizer."""
    with pytest.warns(RandomWeightsWarning):
        fitted = PretrainedImageFeaturizer("resnet18", weights=None, layer=1).fit(pictures)
    with pytest.raises(WeightsError, match="random weights"):
        embed_weights(fitted)
    with pytest.raises(ValueError, match="LogisticRegression contains no fitted featurizer"):
        embed_weights(LogisticRegression().fit([[0], [1]], [0, 1]))


# -- files of other versions


@pytest.mark.parametrize("kind", fixtures.KINDS)
@pytest.mark.parametrize("ending", ["joblib", "skops"])
def test_files_of_earlier_formats_open_and_give_the_same_rows(kind, ending):
    """Those in tests/fixtures, which are kept for good."""
    folders = sorted(path for path in Path(fixtures.__file__).parent.iterdir() if path.is_dir())
    folders = [folder for folder in folders if folder.name.startswith("format_")]
    assert folders
    for folder in folders:
        path, X = folder / f"{kind}.{ending}", fixtures.items(kind)
        opened = (
            joblib.load(path)
            if ending == "joblib"
            else skops.io.load(path, trusted=skops_trusted())
        )
        expected = np.load(folder / f"{kind}.npz")

        assert relative_error(opened[0].transform(X), expected["rows"]) < 1e-4
        np.testing.assert_allclose(opened.predict_proba(X), expected["probabilities"], atol=1e-4)


def test_a_file_of_a_newer_format_is_refused_by_name(pictures):
    """The error names the version that wrote it."""
    state = PretrainedImageFeaturizer(layer=1).fit(pictures).__getstate__()
    state["_format"] = 99
    state["_provenance"]["versions"]["sklearn-pretrained"] = "9.0"

    with pytest.raises(FormatError, match=r"format 99, by sklearn-pretrained 9.0.*Update"):
        PretrainedImageFeaturizer().__setstate__(state)


def test_a_parameter_that_a_file_does_not_know_has_its_default(pictures):
    """A file of an earlier version, which had fewer parameters."""
    state = PretrainedImageFeaturizer(layer=1).fit(pictures).__getstate__()
    del state["resize"], state["_pinned"]["resize"], state["_provenance"]
    opened = PretrainedImageFeaturizer("resnet18")
    opened.__setstate__(state)

    assert (opened.model, opened.resize) == ("mobilenet_v2", "fast")
    assert opened.transform(pictures).shape == (2, 16)
