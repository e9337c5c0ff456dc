"""
Frozen, or trained? Faces tell
==============================

Is it worth training a network's upper layers? `adaptation_report` tries both on the same folds, and
ends in a line to act on. What lies below the layers that are trained is computed once.
"""

# %%
# A hundred faces, a hundred other things
# ---------------------------------------
# With 16 rows of each kind to learn from: few, so that a network that is trained may lose as well.

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.model_selection import StratifiedShuffleSplit

from sklearn_pretrained import AdaptationDisplay, PretrainedImageFeaturizer, adaptation_report

X = data.lfw_subset()  # floats in [0, 1], 25×25 pixels
y = np.repeat(["face", "other"], 100)

# %%
# The report
# ----------
# `image_size=64` keeps the example quick.

folds = StratifiedShuffleSplit(5, train_size=32, test_size=100, random_state=0)
report = adaptation_report(
    PretrainedImageFeaturizer(image_size=64),
    X,
    y,
    cv=folds,
    depths=["features.17", "features.16"],
    layers=["features.6", "features.13"],
    epochs=5,
)
print(report)

# %%
# Score against what is trained
# -----------------------------

AdaptationDisplay.from_report(report)
plt.show()
