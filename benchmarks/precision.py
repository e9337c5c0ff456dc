"""What bfloat16 costs in accuracy, and what it gains in time, beside float32.

    python benchmarks/precision.py [--images FOLDER] [--texts TABLE] [--most N]

FOLDER holds `*/CLASS/*`; without it, patches of three photographs of scikit-image are told apart.
TABLE has tab-separated columns "category" and "text"; without it, e-mails are told apart. Each line
gives the accuracy of a logistic regression over ten folds, how far the rows lie from those in
float32, and rows a second. On a processor without instructions for bfloat16 the accuracy holds, and
the time is that of an emulation.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from real_accuracy import MINILM, read_emails, read_textures
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer

FOLDS = StratifiedKFold(10, shuffle=True, random_state=0)


def read_images(folder):
    """Return paths and classes."""
    if folder is None:
        X_train, y_train, X_test, y_test = read_textures(64)
        return X_train + X_test, y_train + y_test
    paths = sorted(path for path in folder.glob("*/*/*") if path.is_file())
    return paths, [path.parent.name for path in paths]


def read_texts(table):
    """Return texts and classes."""
    if table is None:
        return read_emails()
    rows = pd.read_csv(table, sep="\t")
    return rows["text"].tolist(), rows["category"].tolist()


def compare(name, featurizer, X, y, most):
    """Print a line for each precision."""
    chosen = np.random.default_rng(0).permutation(len(X))[:most]
    X, y = [X[i] for i in chosen], [y[i] for i in chosen]
    exact = None
    for dtype in ("float32", "bfloat16"):
        ours = featurizer.set_params(dtype=dtype, cache=None, keep_layers=None)
        ours.fit(X).transform(X[:16])
        start = time.perf_counter()
        rows = ours.transform(X)
        rate = len(X) / (time.perf_counter() - start)
        exact = rows if exact is None else exact
        apart = np.linalg.norm(rows - exact, axis=1) / np.linalg.norm(exact, axis=1)
        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        accuracy = cross_val_score(head, rows, y, cv=FOLDS).mean()
        print(
            f"{name:14} {dtype:9} {len(X):6} {accuracy:9.4f} {apart.max():11.1e} {rate:8.1f}",
            flush=True,
        )


def main():
    """Compare both precisions over images and over texts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--most", type=int, default=2000)
    options = parser.parse_args()
    print(f"{'':14} {'':9} {'rows':>6} {'accuracy':>9} {'apart':>11} {'rows/s':>8}")
    texts = read_texts(options.texts)
    reader = PretrainedTextFeaturizer(MINILM, pooling="mean", truncation="cut")
    compare("MiniLM", reader, *texts, options.most)
    images = read_images(options.images)
    compare("MobileNetV2", PretrainedImageFeaturizer(), *images, options.most)


if __name__ == "__main__":
    main()
