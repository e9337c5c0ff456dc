"""OpenVINO reads exported files: the same features, probabilities and labels."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer, export_onnx
from sklearn_pretrained.exported import load

from .text_zoo import TEXTS, make_folder

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")


def featurizer(kind, folder):
    """Make a small network over images or texts."""
    torch.manual_seed(0)
    if kind == "texts":
        return PretrainedTextFeaturizer(str(make_folder(folder / "bert", "BERT")), pooling="mean")
    return PretrainedImageFeaturizer("timm/test_efficientnet", weights=None, layer=0.5)


@pytest.mark.parametrize("kind", ["images", "texts"])
@pytest.mark.parametrize("classes", [np.arange(2), np.array(["a", "b", "long name"])])
def test_openvino_computes_what_the_pipeline_does(kind, classes, patches, tmp_path):
    """Classes of numbers and of words, in batches and alone, of texts with several lengths."""
    X = patches[:12] if kind == "images" else [*TEXTS, *TEXTS[:4]]
    y = classes[np.arange(12) % len(classes)]
    # The rows of texts hardly differ here, so that centring them would leave what is noise.
    steps = [StandardScaler(), PCA(4)] if kind == "images" else []
    pipeline = make_pipeline(featurizer(kind, tmp_path), *steps, LogisticRegression()).fit(X, y)
    path = tmp_path / "pipeline.onnx"
    outputs = export_onnx(pipeline, path, examples=X)["outputs"]
    file = load(path)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    for items in (X, X[:1], X[:3]):
        found = compiled(file._reader.feed(file.samples(items)))
        given = {name: np.asarray(found[known["tensor"]]) for name, known in outputs.items()}
        rows = pipeline[0].transform(items)
        far = np.linalg.norm(given["features"] - rows, axis=1) / np.linalg.norm(rows, axis=1)
        assert far.max() < 1e-4
        assert np.abs(given["predict_proba"] - pipeline.predict_proba(items)).max() < 1e-3
        assert given["predict"].tolist() == pipeline.predict(items).tolist()
