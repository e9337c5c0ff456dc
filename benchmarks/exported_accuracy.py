"""Exported pipelines beside the library's, on real weights and real data: labels, probabilities.

    python benchmarks/exported_accuracy.py DATA            # flowers, SIB-200 and SMS
    python benchmarks/exported_accuracy.py DATA sms        # one of them; --help has more
    python benchmarks/exported_accuracy.py DATA --write    # and both tables into docs/export.md
    python benchmarks/exported_accuracy.py DATA sms --write    # its lines of both tables

DATA holds `flowers/{train,test}/CLASS/*.jpg`, `sib200_english/{train,test}.tsv` and
`sms_spam/SMSSpamCollection`. Photos are read from their files, texts as strings, by the exported
file and by the pipeline. The second table shows what the options change that trade answers for
size or for a graph that reads files and strings by itself.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path

import exported_page
import numpy as np
from real_accuracy import lite0_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer, export_onnx
from sklearn_pretrained.exported import load

LABELS, PROBABILITIES = 0.995, 1e-3
"""The goals: at least this share of labels is equal, and probabilities differ by at most this."""
SAME_ROW = 1e-4
MOST = 300
"""Test rows over which options are compared."""
TIMED = 60
"""Items of which one run is timed."""
COLUMNS = ["pipeline", "test rows", "labels equal", "answers differ by up to", "goals", "file"]
CHOICES = {
    "images": {
        "weights='float16'": {"weights": "float16"},
        "weights='int8'": {"weights": "int8"},
        "inputs='bytes'": {"inputs": "bytes"},
    },
    "texts": {
        "weights='float16'": {"weights": "float16"},
        "weights='int8'": {"weights": "int8"},
        "inputs='text'": {"inputs": "text"},
    },
}
CHOICE_COLUMNS = [
    *("option", "pipeline", "test rows", "the same row", "rows differ, median", "at most"),
    *("probabilities by up to", "labels equal", "accuracy", "time", "file"),
]


def exported(pipeline, examples, **options):
    """Export, and open what was written; return also its size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.onnx")
        export_onnx(pipeline, path, examples=examples, **options)
        return load(path, threads=1), f"{path.stat().st_size / 2**20:.1f} MiB"


def compare(name, pipeline, X, X_test):
    """Return one line of the first table."""
    file, size = exported(pipeline, X[:: max(1, len(X) // 24)][:24])
    equal = np.mean(file.predict(X_test) == pipeline.predict(X_test))
    method = "predict_proba" if hasattr(pipeline, "predict_proba") else "decision_function"
    far = np.abs(getattr(file, method)(X_test) - getattr(pipeline, method)(X_test)).max()
    met = "met" if equal >= LABELS and far <= PROBABILITIES else "missed"
    return [name, str(len(X_test)), f"{equal:.2%}", f"{far:.1e} (`{method}`)", met, size]


def time_of(file, samples):
    """Return the median time of the processor for one item, by one thread."""
    times = []
    for sample in samples:
        started = time.process_time()
        file.outputs([sample], "predict", batch_size=1)
        times.append(time.process_time() - started)
    return np.median(times)


def choose(name, pipeline, kind, X_train, test):
    """Return lines of the second table: what the graph alone gives, for each option.

    Int8 is calibrated on items that the pipeline was fitted on; the others need none.
    """
    X, y = test
    rows, labels = pipeline[:-1].transform(X), pipeline.predict(X)
    norms = np.linalg.norm(rows, axis=1)
    plain, _ = exported(pipeline, X[:2])
    plain_samples = plain.samples(X[:TIMED])
    truth = np.asarray(y)
    for option, options in CHOICES[kind].items():
        examples = X_train if options.get("weights") == "int8" else X
        file, size = exported(pipeline, examples, min_agreement=0.0, **options)
        samples = file.samples(X)
        if options.get("inputs") == "bytes":
            samples = [Path(path).read_bytes() for path in X]
        elif options.get("inputs") == "text":
            samples = list(X)
        asked = ("transform", "predict_proba", "predict")
        found = [file.outputs([sample], *asked, batch_size=1) for sample in samples]
        got, probabilities, said = (np.concatenate([one[key] for one in found]) for key in asked)
        moved = np.linalg.norm(got - rows, axis=1) / norms
        far = np.abs(probabilities - pipeline.predict_proba(X)).max()
        # In turns, so that both meet the same machine.
        slower = [time_of(file, samples[:TIMED]) / time_of(plain, plain_samples) for _ in range(3)]
        yield [
            f"`{option}`",
            name,
            str(len(X)),
            f"{np.mean(moved < SAME_ROW):.1%}",
            f"{np.median(moved):.1e}",
            f"{moved.max():.1e}",
            f"{far:.1e}",
            f"{np.mean(said == labels):.1%}",
            f"{np.mean(said == truth):.1%} ({np.mean(labels == truth):.1%})",
            f"{np.median(slower):.2f} ×",
            size,
        ]


def flowers(data):
    """Yield pipelines over photos: a name, not fitted, with training and test items and labels."""

    def part(name):
        paths = sorted((data / "flowers" / name).rglob("*.jpg"))
        return [str(path) for path in paths], [path.parent.name for path in paths]

    (X, y), (X_test, y_test) = part("train"), part("test")
    with tempfile.TemporaryDirectory() as place:
        lite0 = PretrainedImageFeaturizer("timm/tf_efficientnet_lite0", weights=lite0_file(place))
        networks = {"MobileNetV2": PretrainedImageFeaturizer(), "EfficientNet-Lite0": lite0}
        for name, network in networks.items():
            for head in (LogisticRegression(max_iter=1000), SVC()):
                label = f"flowers: {name}, {type(head).__name__}"
                yield label, make_pipeline(network, head), (X, y), (X_test, y_test)


def _minilm():
    encoder = PretrainedTextFeaturizer("sentence-transformers/all-MiniLM-L6-v2")
    return make_pipeline(encoder, LogisticRegression(max_iter=1000))


def sib200(data):
    """The same over sentences."""

    def part(name):
        with open(data / "sib200_english" / name, encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return [row["text"] for row in rows], [row["category"] for row in rows]

    yield "SIB-200: MiniLM, LogisticRegression", _minilm(), part("train.tsv"), part("test.tsv")


def sms(data):
    """The same over messages."""
    lines = (data / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    y, X = zip(*(line.split("\t", 1) for line in lines), strict=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    yield "SMS: MiniLM, LogisticRegression", _minilm(), (list(X), y), (list(X_test), y_test)


def merged(name, columns, lines, key):
    """Put lines beside those of other pipelines that the page has."""
    place = columns.index(key)
    known = {line[place] for line in lines}
    others = [line for line in exported_page.rows(name, columns) if line[place] not in known]
    return sorted([*others, *lines], key=lambda line: line[place].partition(":")[0].casefold())


TASKS = {"flowers": (flowers, "images"), "sib200": (sib200, "texts"), "sms": (sms, "texts")}


def main(words):
    """Print both tables, and write them to the page."""
    lines, choices = [], []
    for task in words.tasks or TASKS:
        make, kind = TASKS[task]
        for name, pipeline, (X, y), (X_test, y_test) in make(words.data):
            if words.only not in name:
                continue
            pipeline.fit(X, y)
            if not words.options:
                lines.append(compare(name, pipeline, X, X_test))
                print(*lines[-1], sep="  ", flush=True)
            if hasattr(pipeline, "predict_proba"):
                for line in choose(name, pipeline, kind, X, (X_test[:MOST], y_test[:MOST])):
                    choices.append(line)
                    print(*line, sep="  ", flush=True)
    if words.write:
        packages = ("onnxruntime", "onnxruntime-extensions", "scikit-learn", "torch")
        command = "python benchmarks/exported_accuracy.py shared/data --write"
        told = exported_page.head(command, *packages)
        for name, columns, rows in (
            ("accuracy", COLUMNS, lines),
            ("options", CHOICE_COLUMNS, choices),
        ):
            if rows:
                rows = merged(name, columns, rows, "pipeline")  # noqa: PLW2901
                exported_page.put(name, f"{exported_page.table(columns, rows)}\n\n{told}")
    return sum(line[COLUMNS.index("goals")] == "missed" for line in lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("tasks", nargs="*", help=f"among {', '.join(TASKS)}; all of them")
    parser.add_argument("--only", default="", help="pipelines with this in their name")
    parser.add_argument("--options", action="store_true", help="the second table alone")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/export.md")
    sys.exit(main(parser.parse_args()))
