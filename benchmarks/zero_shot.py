"""Names of classes, and few labels beside them, over a folder of tables.

    python benchmarks/zero_shot.py FOLDER [--model NAME]

FOLDER holds train.tsv and test.tsv with the columns "category" and "text". Prints the accuracy on
the test texts by names alone, with 0 to 16 labelled texts a class, and of a logistic regression on
the same labelled texts, each the mean over ten draws.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from sklearn_pretrained import PretrainedTextFeaturizer, ZeroShotClassifier
from sklearn_pretrained._text import MINILM

DRAWS = 10

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--model", default=MINILM)
options = parser.parse_args()

train, test = (pd.read_csv(options.folder / f"{part}.tsv", sep="\t") for part in ("train", "test"))
classes = sorted(train["category"].unique())
zero = ZeroShotClassifier(options.model).fit(None, classes)
found = (zero.predict(test["text"]) == test["category"]).mean()
print(f"{len(classes)} classes, {len(test)} test texts")
print(f"most frequent class {test['category'].value_counts(normalize=True).iloc[0]:.3f}")
print(f"names alone         {found:.3f}")
print("labels a class   names + labels   logistic regression")
featurizer = PretrainedTextFeaturizer(options.model).fit(train["text"])
for n in (1, 2, 4, 8, 16):
    both, plain = [], []
    for seed in range(DRAWS):
        rows = train.groupby("category").sample(n, random_state=seed)
        joined = ZeroShotClassifier(options.model).fit(rows["text"], rows["category"])
        both.append((joined.predict(test["text"]) == test["category"]).mean())
        head = LogisticRegression(max_iter=1000)
        head.fit(featurizer.transform(rows["text"]), rows["category"])
        plain.append(head.score(featurizer.transform(test["text"]), test["category"]))
    print(f"{n:14}   {np.mean(both):14.3f}   {np.mean(plain):19.3f}")
