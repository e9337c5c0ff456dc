"""
Few-shot classification
=======================

Which classifier is best if there are only two to sixteen labelled images per class? Here, logistic
regression is best at every size. A nearest neighbour needs no tuning, and comes close with sixteen.
"""

# %%
# Crops of eight photographs
# --------------------------
# The labelled images (shots) come from the left part of each photograph, and the test images from
# the right part.

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import normalize

from sklearn_pretrained import PretrainedImageFeaturizer

names = ["brick", "grass", "gravel", "camera", "chelsea", "coffee", "coins", "moon"]
random = np.random.default_rng(0)


def crops(n, left, right):
    """Cut small images out of a part of each photograph."""
    X = []
    for name in names:
        photo = np.asarray(Image.fromarray(getattr(data, name)()).convert("L").resize((512, 384)))
        for _ in range(n):
            i, j = random.integers(0, 384 - 72), random.integers(left, right - 72)
            X.append(photo[i : i + 72, j : j + 72])
    return X, np.repeat(names, n)


featurizer = PretrainedImageFeaturizer(image_size=64, layer="features.13")
X, y = crops(16, 0, 256)
shots = normalize(featurizer.fit_transform(X))
X_test, y_test = crops(40, 256, 512)
test = normalize(featurizer.transform(X_test))

# %%
# Three classifiers, means of ten draws
# -------------------------------------

heads = {
    "nearest mean": NearestCentroid(),
    "logistic regression": LogisticRegression(C=100, max_iter=1000),
    "nearest neighbour": KNeighborsClassifier(1),
}
sizes = [2, 4, 8, 16]
_, ax = plt.subplots(layout="constrained")
for (name, head), colour, marker in zip(
    heads.items(), ["#0072B2", "#D55E00", "#009E73"], "os^", strict=True
):
    curve = []
    for n in sizes:
        draws = [
            np.concatenate([random.choice(16, n, False) + 16 * k for k in range(8)])
            for _ in "x" * 10
        ]
        curve.append(np.mean([head.fit(shots[d], y[d]).score(test, y_test) for d in draws]))
    print(f"{name:20}", np.round(curve, 3))
    ax.plot(sizes, curve, color=colour, marker=marker, label=name)
ax.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="labels per class", ylabel="accuracy")
ax.minorticks_off()
ax.legend()
plt.show()
