"""
Reject uncertain predictions
============================

Calibrated probabilities tell how often predictions are right. With a threshold on them, uncertain
e-mails can be left to a person: the fewer are decided automatically, the fewer errors are made.
"""

# %%
# E-mails: ham or spam
# --------------------

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedTextFeaturizer

try:
    here = Path(__file__).parent.parent
except NameError:  # in the documentation's gallery
    here = Path.cwd().parent
lines = (here / "data" / "emails.jsonl").read_text().splitlines()[::2]
emails = [json.loads(line) for line in lines]
X, y = [e["text"] for e in emails], np.array([e["label"] for e in emails])

# %%
# Cross-validated probabilities
# -----------------------------

head = CalibratedClassifierCV(LogisticRegression(max_iter=1000), cv=5)
pipeline = make_pipeline(PretrainedTextFeaturizer(max_length=16, truncation="cut"), head)
proba = cross_val_predict(pipeline, X, y, cv=5, method="predict_proba")
sure, right = proba.max(axis=1), np.unique(y)[proba.argmax(axis=1)] == y

# %%
# Decisions and errors
# --------------------

thresholds = np.linspace(0.5, np.quantile(sure, 0.98), 50)
decided = np.array([(sure >= t).mean() for t in thresholds])
wrong = np.array([1 - right[sure >= t].mean() for t in thresholds])
k = int(np.argmax(wrong <= wrong[0] / 2))
print(f"all decided: {wrong[0]:.1%} wrong; from {thresholds[k]:.2f} on, "
      f"{decided[k]:.0%} decided: {wrong[k]:.1%} wrong")  # fmt: skip

_, (left, right_ax) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.plot(100 * decided, 100 * wrong, color="#0072B2")
left.plot(
    100 * decided[k], 100 * wrong[k], "o", color="#D55E00", label=f"from {thresholds[k]:.2f} on"
)
left.set(xlabel="decided automatically (%)", ylabel="errors among these (%)", ylim=(0, None))
left.legend()
bins = np.quantile(sure, np.linspace(0, 1, 7))
place = np.clip(np.digitize(sure, bins) - 1, 0, 5)
said = [sure[place == b].mean() for b in range(6)]
was = [right[place == b].mean() for b in range(6)]
right_ax.plot([0.5, 1], [0.5, 1], ":", color="black", label="perfectly calibrated")
right_ax.plot(said, was, marker="o", color="#0072B2", label="sixths of the e-mails")
right_ax.set(xlabel="predicted probability", ylabel="share of correct predictions")
right_ax.legend()
plt.show()
