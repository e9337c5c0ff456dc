"""Files with smaller weights: every step is proven first, and what fewer bits change is told."""

from __future__ import annotations

import copy
import logging

import numpy as np
import onnx
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    export_onnx,
)
from sklearn_pretrained.exceptions import ExportError
from sklearn_pretrained.export import _graph
from sklearn_pretrained.exported import load

from .text_zoo import FAMILIES, TEXTS, make_folder

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")
NAMES = np.array(["palace", "flower"])[np.arange(24) // 12]
SHARES = {"float16": 0.75, "int8": 0.6}
"""Of the bytes of a file, at most."""


@pytest.fixture(scope="module")
def photos(patches):
    """A pipeline over images."""
    return make_pipeline(
        PretrainedImageFeaturizer(
            "timm/test_efficientnet", weights=None, image_size=64, layer=0.5, cache=None
        ),
        LogisticRegression(max_iter=1000),
    ).fit(patches, NAMES)


@pytest.fixture(scope="module")
def size(photos, patches, tmp_path_factory):
    """Bytes of its file with weights as they are."""
    path = tmp_path_factory.mktemp("photos") / "float32.onnx"
    export_onnx(photos, path, examples=patches, y=NAMES)
    return path.stat().st_size


@pytest.fixture(scope="module")
def numbers():
    """A wide network over rows of numbers, with a head, its rows and labels."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(8, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64), torch.nn.Tanh()
    )
    X = np.random.default_rng(0).normal(size=(80, 8)).astype(np.float32)
    y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
    pipeline = make_pipeline(
        ModuleFeaturizer(network, layer="output"), StandardScaler(), LogisticRegression()
    )
    return pipeline.fit(X[:40], y[:40]), X, y


def told(report, step):
    """Return what a report says of a step, by output."""
    return {entry["output"]: entry for entry in report if entry["step"] == step}


def kinds_of(path):
    """Return the types of a file's weights with as many numbers as make them large."""
    held = onnx.load(path).graph.initializer
    return {one.data_type for one in held if np.prod(one.dims) > 1000}


@pytest.mark.parametrize("weights", SHARES)
def test_smaller_weights_make_a_smaller_file_with_nearly_the_same_answers(
    weights, photos, size, patches, tmp_path
):
    """The report says how far rows and probabilities are, and how many labels are the same."""
    path = tmp_path / f"{weights}.onnx"
    facts = export_onnx(photos, path, examples=patches, y=NAMES, weights=weights)
    file, entries = load(path), told(facts["report"], "weights")
    rows = photos[:-1].transform(patches)
    norms = np.linalg.norm(rows, axis=1)
    far = np.linalg.norm(file.transform(patches) - rows, axis=1)
    far /= np.maximum(norms, np.median(norms))  # a row near zero is one by chance

    assert facts["weights"] == file.facts_["weights"] == weights
    assert path.stat().st_size < SHARES[weights] * size
    assert 1e-5 < entries["features"]["largest"] < 0.2
    np.testing.assert_allclose(far.max(), entries["features"]["largest"], rtol=0.05)
    assert entries["predict"]["agreement"] == 1.0
    apart = np.abs(file.predict_proba(patches) - photos.predict_proba(patches)).max()
    np.testing.assert_allclose(apart, entries["predict_proba"]["largest"], rtol=0.05)
    assert file.predict(patches).tolist() == photos.predict(patches).tolist()


def test_the_report_holds_the_score_of_the_file_beside_that_of_the_pipeline(numbers, tmp_path):
    """As the pipeline's own `score` gives it."""
    pipeline, X, y = numbers
    path = tmp_path / "rows.onnx"
    report = export_onnx(pipeline, path, examples=X, y=y, weights="int8", min_score=0.5)["report"]
    entry = told(report, "score")["predict"]

    assert entry["score"] == np.mean(load(path).predict(X) == y)
    assert entry["score_of_pipeline"] == pipeline.score(X, y)
    assert entry["examples"] == 80


def test_targets_may_be_numbers_of_another_type_but_not_of_another_kind(numbers, tmp_path):
    """Floats may stand for whole numbers, as in scikit-learn; words stand for none."""
    pipeline, X, y = numbers
    by_number = clone(pipeline).fit(X, np.unique(y, return_inverse=True)[1])
    targets = np.unique(y, return_inverse=True)[1].astype(float)
    report = export_onnx(by_number, tmp_path / "n.onnx", examples=X, y=targets)["report"]

    assert told(report, "score")["predict"]["score_of_pipeline"] == by_number.score(X, targets)
    with pytest.raises(ValueError, match="predicts labels of another kind"):
        export_onnx(by_number, tmp_path / "w.onnx", examples=X, y=["word"] * len(X))


def test_a_regressor_is_scored_by_its_variance(numbers, tmp_path):
    """R², as in scikit-learn."""
    pipeline, X, _ = numbers
    y = X[:, :2] ** 2
    regressor = make_pipeline(pipeline[0], Ridge()).fit(X, y)
    path = tmp_path / "rows.onnx"
    report = export_onnx(
        regressor, path, examples=X, y=y, weights="int8", min_agreement=0.9, min_score=0.1
    )["report"]

    entry = told(report, "score")["predict"]
    np.testing.assert_allclose(entry["score_of_pipeline"], regressor.score(X, y))
    assert abs(entry["score"] - entry["score_of_pipeline"]) < 0.1


def test_below_the_score_that_is_asked_for_nothing_is_written(numbers, tmp_path):
    """The error has both numbers, and what was asked for."""
    pipeline, X, y = numbers
    truth = f"{pipeline.score(X, y):.1%}"
    with pytest.raises(
        ExportError,
        match=rf"of the file is \d.*, that of the pipeline is {truth}, and min_score=0.999",
    ):
        export_onnx(pipeline, tmp_path / "x.onnx", examples=X, y=y, weights="int8", min_score=0.999)
    assert list(tmp_path.iterdir()) == []


def test_without_targets_the_answers_must_agree(numbers, tmp_path):
    """With those of the pipeline."""
    pipeline, X, _ = numbers
    for weights in ("float16", "int8"):
        with pytest.raises(ExportError, match=r"Smaller weights change answers: .* agree to \d"):
            export_onnx(
                pipeline[:1],
                tmp_path / "x.onnx",
                examples=X,
                weights=weights,
                min_agreement=1,
            )
    assert list(tmp_path.iterdir()) == []


def test_with_targets_the_score_decides_and_not_the_agreement(numbers, tmp_path):
    """Other answers are written if as many are right; fewer by more than min_agreement are not."""
    pipeline, X, _ = numbers
    X = np.random.default_rng(1).normal(size=(4000, X.shape[1])).astype(np.float32)
    X = X[np.argsort(np.abs(pipeline.decision_function(X)))[:60]]  # whose labels move
    path, options = tmp_path / "x.onnx", {"examples": X, "weights": "int8"}
    with pytest.raises(ExportError, match="pass the targets as y, so that the score decides, or"):
        export_onnx(pipeline, path, **options)
    export_onnx(pipeline, path, **options, min_agreement=0)
    found, wanted = load(path).predict(X), pipeline.predict(X)
    path.unlink()
    with pytest.raises(ExportError, match=r"it may be 1.0% less \(1 - min_agreement\). Nothing"):
        export_onnx(pipeline, path, **options, y=wanted)
    assert list(tmp_path.iterdir()) == []
    report = export_onnx(pipeline, path, **options, y=found)["report"]

    np.testing.assert_allclose(
        told(report, "weights")["predict"]["agreement"], np.mean(found == wanted)
    )
    assert told(report, "score")["predict"]["score"] == 1.0
    np.testing.assert_allclose(told(report, "score")["predict"]["allowed"], 0.01)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"weights": "int4"}, "weights='int4' is not one of 'float32', 'float16', 'int8'"),
        ({"weights": "int8", "examples": slice(9)}, "calibrated on the examples, and 9 are too"),
        ({"min_score": 0.9}, "min_score compares with the targets of the examples"),
        ({"y": ["yes"]}, "y has 1 targets, and examples has 80 items"),
    ],
)
def test_what_does_not_fit_is_named(how, says, numbers, tmp_path):
    """Before anything is computed."""
    pipeline, X, _ = numbers
    how = {**how, "examples": X[how.get("examples", slice(None))]}
    with pytest.raises(ValueError, match=says):
        export_onnx(pipeline, tmp_path / "x.onnx", **how)


def test_rows_have_no_score(numbers, tmp_path):
    """There is nothing that they predict."""
    pipeline, X, y = numbers
    with pytest.raises(ValueError, match="this pipeline ends in rows"):
        export_onnx(pipeline[:-1], tmp_path / "x.onnx", examples=X, y=y)


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_every_step_is_proven_before_weights_are_rounded(weights, numbers, tmp_path, monkeypatch):
    """A wrong step is not rounding, even if all labels stay the same."""
    pipeline, X, _ = numbers
    add = _graph.Graph.add

    def spoiled(graph, part):
        if part.name == "logisticregression":
            part.estimator = copy.deepcopy(part.estimator)
            part.estimator.coef_ *= 0.3
            part.estimator.intercept_ *= 0.3
        return add(graph, part)

    monkeypatch.setattr(_graph.Graph, "add", spoiled)
    with pytest.raises(ExportError, match="Step 'logisticregression' differs"):
        export_onnx(pipeline, tmp_path / "x.onnx", examples=X, weights=weights)


def test_scikit_learns_steps_compute_in_float32_behind_eight_bits(numbers, tmp_path):
    """Only networks are calibrated."""
    pipeline, X, y = numbers
    path = tmp_path / "x.onnx"
    export_onnx(pipeline, path, examples=X, y=y, weights="int8", min_score=0)
    nodes = onnx.load(path).graph.node
    quantised = {
        name for node in nodes if node.op_type == "DequantizeLinear" for name in node.input
    }

    assert kinds_of(path) == {onnx.TensorProto.INT8}
    assert quantised
    assert not any(name.startswith(("standardscaler", "logisticregression")) for name in quantised)


def test_tables_of_tokens_are_of_eight_bits_too(tmp_path, monkeypatch):
    """Each row with a scale."""
    torch.manual_seed(0)
    kind, options = FAMILIES["BERT"]
    wide = {**options, "hidden_size": 64, "intermediate_size": 128}
    monkeypatch.setitem(FAMILIES, "BERT", (kind, wide))
    folder = make_folder(tmp_path / "bert", "BERT")
    encoder = PretrainedTextFeaturizer(str(folder), pooling="mean", cache=None)
    X = [*TEXTS, *(" ".join(text.split()[::-1]) + " cat" for text in TEXTS)]
    path = tmp_path / "texts.onnx"
    report = export_onnx(encoder.fit(X), path, examples=X, weights="int8", min_agreement=0)
    far = told(report["report"], "weights")["features"]["largest"]

    assert onnx.TensorProto.FLOAT not in kinds_of(path)
    assert 1e-5 < far < 0.1


def test_several_networks_are_calibrated_together(numbers, tmp_path):
    """Those of a union, beside other steps."""
    pipeline, X, y = numbers
    torch.manual_seed(1)
    other = ModuleFeaturizer(torch.nn.Sequential(torch.nn.Linear(8, 128), torch.nn.Tanh()))
    union = make_union(pipeline[0], other, StandardScaler())
    both = make_pipeline(union, LogisticRegression(max_iter=500)).fit(X, y)
    path = tmp_path / "x.onnx"
    report = export_onnx(both, path, examples=X, y=y, weights="int8", min_score=0.8)["report"]

    assert told(report, "weights")["predict"]["agreement"] > 0.9
    assert kinds_of(path) == {onnx.TensorProto.INT8}


def test_weights_of_eight_bits_work_with_pixels_in_the_graph(photos, patches, tmp_path):
    """What prepares images is not rounded."""
    path = tmp_path / "x.onnx"
    report = export_onnx(
        photos, path, examples=patches, y=NAMES, weights="int8", inputs="pixels", min_score=0.8
    )["report"]

    assert told(report, "score")["predict"]["score"] >= 0.8
    assert load(path).predict(patches).tolist() == photos.predict(patches).tolist()


def test_the_quantiser_does_not_set_up_logging(numbers, tmp_path):
    """Nor does it speak."""
    pipeline, X, y = numbers
    before = list(logging.getLogger().handlers)
    export_onnx(pipeline, tmp_path / "x.onnx", examples=X, y=y, weights="int8", min_score=0)

    assert logging.getLogger().handlers == before
