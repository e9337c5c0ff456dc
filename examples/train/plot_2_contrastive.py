"""
Contrastive fine-tuning with few labels
=======================================

Eight e-mails per class are few rows, but they form many pairs. Contrastive training moves the
features of pairs with the same label together and those of other pairs apart. The classifier is
then fitted on the fine-tuned features.
"""

# %%
# Real e-mails, ham and spam
# --------------------------

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from sklearn_pretrained import AdaptationDisplay, PretrainedTextFeaturizer, adaptation_report

try:
    here = Path(__file__).parent.parent
except NameError:  # in the documentation's gallery
    here = Path.cwd().parent
lines = (here / "data" / "emails.jsonl").read_text().splitlines()[::4]
emails = [json.loads(line) for line in lines]
X, y = [e["text"] for e in emails], np.array([e["label"] for e in emails])

# %%
# Frozen and fine-tuned
# ---------------------
# `train_from="hidden_4"` trains the last two of six blocks.

folds = StratifiedShuffleSplit(2, train_size=16, test_size=60, random_state=0)
report = adaptation_report(
    PretrainedTextFeaturizer(max_length=32, truncation="cut"),
    X,
    y,
    cv=folds,
    depths=["hidden_4"],
    layers=[],
    objective="contrastive",
    validation_fraction=0,
    epochs=2,
)
print(report)

# %%
# Accuracy against the trained share
# ----------------------------------

AdaptationDisplay.from_report(report)
plt.show()
