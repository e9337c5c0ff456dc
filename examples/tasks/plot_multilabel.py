"""
Several labels per image
========================

Mosaics of textures have one label for each texture in them. scikit-learn's multilabel classifiers
use the same features as any other estimator.
"""

# %%
# Mosaics of four tiles
# ---------------------
# Training tiles are cut from the upper halves of the photographs, test tiles from the lower ones.

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer

names = ["brick", "grass", "gravel"]
photos = [getattr(data, name)() for name in names]
random = np.random.default_rng(0)


def mosaics(n, top, bottom):
    """Make images of four tiles each, and which textures are in them."""
    X, Y = [], []
    for _ in range(n):
        which = random.choice(3, size=random.integers(1, 4), replace=False)
        tiles = []
        for k in random.permutation(np.resize(which, 4)):
            i, j = random.integers(top, bottom - 64), random.integers(0, 448)
            tiles.append(photos[k][i : i + 64, j : j + 64])
        X.append(np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]))
        Y.append(np.isin(range(3), which))
    return X, np.array(Y, dtype=int)


X_train, Y_train = mosaics(150, 0, 256)
X_test, Y_test = mosaics(150, 256, 512)

# %%
# One classifier per label
# ------------------------

head = OneVsRestClassifier(LogisticRegression(max_iter=1000))
pipeline = make_pipeline(PretrainedImageFeaturizer(image_size=96), head).fit(X_train, Y_train)
found = pipeline.predict(X_test)
precision = average_precision_score(Y_test, pipeline.predict_proba(X_test), average=None)
print(
    dict(zip(names, precision.round(3), strict=True)),
    f"F1 {f1_score(Y_test, found, average='macro'):.3f}",
)

# %%
# Predictions
# -----------

_, axes = plt.subplots(2, 4, figsize=(9, 5), layout="constrained")
for ax, image, said, is_ in zip(axes.flat, X_test, found, Y_test, strict=False):
    ax.imshow(image, cmap="gray")
    ax.set(xticks=[], yticks=[])
    told = " + ".join(name for name, there in zip(names, said, strict=True) if there) or "none"
    ax.set_title(told, color="#0072B2" if (said == is_).all() else "#D55E00", fontsize="medium")
plt.show()
