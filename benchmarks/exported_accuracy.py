"""Exported pipelines beside the library's, on real weights and real data: labels, probabilities.

    python benchmarks/exported_accuracy.py flowers shared/data/flowers
    python benchmarks/exported_accuracy.py sib200 shared/data/sib200_english
    python benchmarks/exported_accuracy.py sms shared/data/sms_spam

Photos are read from their files, texts as strings, by the exported file and by the pipeline.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from real_accuracy import lite0_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer, export_onnx
from sklearn_pretrained.exported import load


def compare(name, pipeline, X_train, y_train, X_test):
    pipeline.fit(X_train, y_train)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.onnx")
        started = time.perf_counter()
        export_onnx(pipeline, path, examples=X_train[:: max(1, len(X_train) // 24)][:24])
        took = time.perf_counter() - started
        file = load(path, threads=1)
        equal = np.mean(file.predict(X_test) == pipeline.predict(X_test))
        method = "predict_proba" if hasattr(pipeline, "predict_proba") else "decision_function"
        far = np.abs(getattr(file, method)(X_test) - getattr(pipeline, method)(X_test)).max()
        size = path.stat().st_size / 2**20
    print(
        f"{name:40} {len(X_test):5} rows  labels equal {equal:8.3%}  {method} {far:.1e}  "
        f"{size:.0f} MiB, written in {took:.0f} s",
        flush=True,
    )


def flowers(folder):
    def part(name):
        paths = sorted(Path(folder, name).rglob("*.jpg"))
        return [str(path) for path in paths], [path.parent.name for path in paths]

    (X, y), (X_test, _) = part("train"), part("test")
    with tempfile.TemporaryDirectory() as place:
        networks = {
            "MobileNetV2": PretrainedImageFeaturizer("mobilenet_v2"),
            "EfficientNet-Lite0": PretrainedImageFeaturizer(
                "timm/tf_efficientnet_lite0", weights=lite0_file(place)
            ),
        }
        for name, network in networks.items():
            for head in (LogisticRegression(max_iter=1000), SVC()):
                label = f"flowers, {name} + {type(head).__name__}"
                compare(label, make_pipeline(network, head), X, y, X_test)


def texts(name, X, y, X_test):
    encoder = PretrainedTextFeaturizer("sentence-transformers/all-MiniLM-L6-v2")
    compare(
        f"{name}, MiniLM + LogisticRegression",
        make_pipeline(encoder, LogisticRegression(max_iter=1000)),
        X,
        y,
        X_test,
    )


def sib200(folder):
    def part(name):
        with open(Path(folder, name), encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return [row["text"] for row in rows], [row["category"] for row in rows]

    (X, y), (X_test, _) = part("train.tsv"), part("test.tsv")
    texts("SIB-200", X, y, X_test)


def sms(folder):
    lines = Path(folder, "SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    y, X = zip(*(line.split("\t", 1) for line in lines), strict=True)
    X, X_test, y, _ = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    texts("SMS", list(X), y, list(X_test))


if __name__ == "__main__":
    {"flowers": flowers, "sib200": sib200, "sms": sms}[sys.argv[1]](*sys.argv[2:])
