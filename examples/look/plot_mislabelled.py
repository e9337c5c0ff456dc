"""
Which labels are wrong?
=======================

A classifier that was trained without a row rarely predicts a wrong label for it with confidence. So
the cross-validated probability of the given label ranks rows by how suspicious their labels are.
With cached features, this takes seconds.
"""

# %%
# Textures with 5% wrong labels
# -----------------------------

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_curve
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer

names = np.array(["brick", "grass", "gravel"])
photos = [getattr(data, name)() for name in names]
X = [
    p[i : i + 32, j : j + 32] for p in photos for i in range(0, 512, 48) for j in range(0, 480, 48)
]
truth = np.repeat(names, len(X) // 3)
random = np.random.default_rng(0)
spoilt = random.choice(len(X), len(X) // 20, replace=False)
y = truth.copy()
y[spoilt] = [random.choice(names[names != label]) for label in truth[spoilt]]

# %%
# The probability of each given label
# -----------------------------------

pipeline = make_pipeline(PretrainedImageFeaturizer(image_size=64), LogisticRegression(C=0.1))
proba = cross_val_predict(pipeline, X, y, cv=5, method="predict_proba")
own = proba[np.arange(len(y)), np.searchsorted(names, y)]
suspects = np.argsort(own)[: len(spoilt)]
print(f"{np.isin(suspects, spoilt).mean():.0%} of the {len(suspects)} most suspicious are wrong")

# %%
# The most suspicious labels
# --------------------------
# Above each patch: its label, and what the classifier predicts.

figure, axes = plt.subplots(2, 5, figsize=(9, 4.5), layout="constrained")
for ax, i in zip(axes.flat, suspects, strict=False):
    ax.imshow(X[i], cmap="gray")
    ax.set(xticks=[], yticks=[])
    is_wrong = "wrong" if i in spoilt else "right"
    ax.set_title(f"{y[i]} → {names[proba[i].argmax()]}\n({is_wrong} label)", fontsize="small")
precision, recall, _ = precision_recall_curve(np.isin(np.arange(len(y)), spoilt), -own)
figure.suptitle(
    f"half of the wrong labels are found at a precision of {precision[recall >= 0.5].max():.0%}"
)
plt.show()
