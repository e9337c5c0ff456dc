"""
Handwriting: where training helps
=================================

A network that was pretrained on photographs has never seen a handwritten digit. Its last layers
tell dogs from cups, but lose some of what tells a 3 from an 8. So training the upper layers pays
here. An earlier layer gains about as much without any training, so look for a better layer first.
"""

# %%
# Scans of handwritten digits
# ---------------------------
# Each of the three folds has 240 training images and 100 test images. `image_size=48` keeps the
# example quick.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

from sklearn_pretrained import AdaptationDisplay, PretrainedImageFeaturizer, adaptation_report

X, y = load_digits(return_X_y=True)
featurizer = PretrainedImageFeaturizer(image_shape=(8, 8), value_range=(0, 16), image_size=48)

# %%
# The report
# ----------
# Frozen, the best of three frozen layers, and trained from `features.13` on, all on the same folds.
# `validation_fraction=0` holds nothing out of so few rows: all are trained on, for eight epochs.

folds = StratifiedShuffleSplit(3, train_size=240, test_size=100, random_state=0)
report = adaptation_report(
    featurizer,
    X,
    y,
    cv=folds,
    depths=["features.13"],
    layers=["features.6", "features.13"],
    validation_fraction=0,
    epochs=8,
)
print(report)

# %%
# Accuracy against the trained share
# ----------------------------------
# Nothing is trained for the two frozen candidates, so they are at 0%. For :ref:`faces
# <sphx_glr_auto_examples_train_plot_1_frozen_or_trained.py>` the report says to stay frozen.

AdaptationDisplay.from_report(report)
plt.show()
