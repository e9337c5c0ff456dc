"""MTEB's classification protocol over a folder of tables.

    python benchmarks/mteb_classification.py FOLDER [--model NAME] [--peer]

FOLDER holds train.tsv, dev.tsv and test.tsv with the columns "category" and "text". Ten draws of
eight samples a label from the split (seed 42, shuffled further before each), a logistic regression
on each, and the accuracy on the whole evaluated split. With --peer, sentence-transformers computes
the same from the same draws, and features and predictions are compared.
"""

import argparse
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sklearn_pretrained import PretrainedTextFeaturizer
from sklearn_pretrained._text import MINILM

SAMPLES, DRAWS, SEED = 8, 10, 42


def draw(labels, indices):
    """Take the first samples of each label after one more shuffle."""
    np.random.RandomState(SEED).shuffle(indices)
    counts, chosen = defaultdict(int), []
    for i in indices:
        if counts[labels[i]] < SAMPLES:
            chosen.append(i)
            counts[labels[i]] += 1
    return chosen


def correct_in_each_draw(X_train, y_train, X_test, y_test):
    """Count right predictions of each draw's classifier."""
    indices, correct = list(range(len(y_train))), []
    for _ in range(DRAWS):
        chosen = draw(y_train, indices)
        head = LogisticRegression(random_state=SEED, max_iter=100)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            head.fit(X_train[chosen], [y_train[i] for i in chosen])
        correct.append(int((head.predict(X_test) == np.asarray(y_test)).sum()))
    return correct


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--model", default=MINILM)
parser.add_argument("--peer", action="store_true")
options = parser.parse_args()

tables = {
    split: pd.read_csv(options.folder / f"{split}.tsv", sep="\t")
    for split in ("train", "dev", "test")
}
texts = {split: table["text"].tolist() for split, table in tables.items()}
labels = {split: table["category"].tolist() for split, table in tables.items()}
featurizer = PretrainedTextFeaturizer(options.model, device="cpu").fit(texts["train"])
ours = {split: featurizer.transform(some) for split, some in texts.items()}
theirs = {}
if options.peer:
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(featurizer._backbone().folder), device="cpu")
    theirs = {split: peer.encode(some) for split, some in texts.items()}

for split in ("test", "dev", "train"):
    correct = correct_in_each_draw(ours["train"], labels["train"], ours[split], labels[split])
    accuracy = np.mean(correct) / len(labels[split])
    line = f"{split:6} n={len(labels[split]):4} accuracy {accuracy:.4f}"
    if theirs:
        gap = np.linalg.norm(ours[split] - theirs[split], axis=1)
        expected = correct_in_each_draw(
            theirs["train"], labels["train"], theirs[split], labels[split]
        )
        most = max(abs(a - b) for a, b in zip(correct, expected, strict=True))
        reference = np.mean(expected) / len(labels[split])
        line += (
            f"  sentence-transformers {reference:.4f}, largest feature difference "
            f"{(gap / np.linalg.norm(theirs[split], axis=1)).max():.1e}, "
            f"most predictions apart in a draw {most}"
        )
    print(line)
