"""
Layers and poolings of BERT
===========================

Is the last layer of BERT the best one for your task? Is the class token better than the mean? Here,
all hidden states and three poolings are compared on spam detection. Each e-mail goes through the
network once in the whole comparison.
"""

# %%
# Four hundred e-mails
# --------------------

import json
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from sklearn_pretrained import PretrainedTextFeaturizer

try:
    here = Path(__file__).parent.parent
except NameError:  # in the documentation's gallery
    here = Path.cwd().parent
rows = [json.loads(line) for line in (here / "data" / "emails.jsonl").read_text().splitlines()]
X, y = [row["text"] for row in rows], [row["label"] for row in rows]
print(y.count("spam"), "of", len(y), "are spam:", X[-1][:60], "…")

# %%
# The search
# ----------
# As often in practice, there are few labels: each split trains on a fifth of the e-mails.

pipeline = Pipeline(
    [
        ("featurizer", PretrainedTextFeaturizer(max_length=128, truncation="cut")),
        ("head", LogisticRegression(max_iter=2000)),
    ]
)
folds = StratifiedKFold(5, shuffle=True, random_state=0)
splits = [(test, train) for train, test in folds.split(X, y)]
search = GridSearchCV(
    pipeline,
    {
        "featurizer__layer": list(range(7)),
        "featurizer__pooling": ["mean", "cls", "max"],
        "head__C": [1, 10],
    },
    cv=splits,
).fit(X, y)
print(search.best_params_, f"{search.best_score_:.3f}")
print(search.best_estimator_["featurizer"].counts_)

# %%
# Accuracy by layer and pooling
# -----------------------------

results = search.cv_results_
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for pooling in ("mean", "cls", "max"):
    means, spreads = [], []
    for layer in range(7):
        tried = [
            i
            for i, p in enumerate(results["params"])
            if (p["featurizer__layer"], p["featurizer__pooling"]) == (layer, pooling)
        ]
        top = max(tried, key=lambda i: results["mean_test_score"][i])
        means.append(results["mean_test_score"][top])
        spreads.append(results["std_test_score"][top])
    axes.errorbar(np.arange(7), means, yerr=spreads, marker="o", capsize=3, label=pooling)
axes.set(xlabel="hidden state", ylabel="accuracy", title="Spam or not, 80 labels per fit")
axes.legend(title="pooling")
plt.show()

# %%
# Save it
# -------
# The file of the tuned pipeline is a few kilobytes, since it does not contain the weights.

joblib.dump(search.best_estimator_, "emails.joblib")
print(Path("emails.joblib").stat().st_size, "bytes")
print(joblib.load("emails.joblib").predict(["Meeting moved to three", "FREE MONEY click now!!!"]))
Path("emails.joblib").unlink()
