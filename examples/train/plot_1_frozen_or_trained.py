"""
Frozen, or trained?
===================

Is it worth training the upper layers of a network? `adaptation_report` compares both on the same
folds and recommends one. The layers below those that are trained run only once.
"""

# %%
# A hundred faces, a hundred other images
# ---------------------------------------
# There are 16 training images per class. With so few, training may also make the result worse.

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
# Accuracy against the trained share
# ----------------------------------

AdaptationDisplay.from_report(report)
plt.show()
