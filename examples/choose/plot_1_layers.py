"""
Which layer is best?
====================

Early layers of a network respond to edges, late ones to objects. Which of them separates *your*
classes best is a question for cross-validation. Here, all main stages of MobileNetV2 are compared
on small textures, and an early layer is best, at a third of the cost of the last one. Each image
goes through the network once, whatever the number of layers, folds and classifiers.
"""

# %%
# Patches of 16×16 pixels
# -----------------------

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from sklearn_pretrained import (
    LayerScoreDisplay,
    PretrainedImageFeaturizer,
    RankingDisplay,
    list_layers,
)

photos = [data.brick(), data.grass(), data.gravel()]
places = [(i, j) for i in range(0, 496, 56) for j in range(0, 496, 56)]
X = [photo[i : i + 16, j : j + 16] for photo in photos for i, j in places]
y = np.repeat(["brick", "grass", "gravel"], len(places))

# %%
# The layers and their costs
# --------------------------

table = list_layers("mobilenet_v2")
print(table)

# %%
# The search
# ----------
# This is an ordinary grid search. Small patches do not need a large input, so `image_size=64`.

stages = list(table.plan.stages)
pipeline = Pipeline(
    [
        ("featurizer", PretrainedImageFeaturizer(image_size=64)),
        ("head", LogisticRegression(max_iter=1000)),
    ]
)
search = GridSearchCV(
    pipeline,
    {"featurizer__layer": stages, "head__C": [0.01, 1]},
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
).fit(X, y)

# %%
# The refitted featurizer computed nothing, since its rows were cached during the search.

best = search.best_estimator_["featurizer"]
print(search.best_params_, f"{search.best_score_:.3f}", best.counts_)

# %%
# Accuracy against cost
# ---------------------
# The star marks the cheapest layer within one standard error of the best. In production, the
# forward pass stops there.

display = LayerScoreDisplay.from_search(search, score_name="cross-validated accuracy")
display.ax_.set_title("Textures: every main stage of MobileNetV2")
plt.show()

# %%
# The same as a table
# -------------------

print(display)

# %%
# Estimates and scores
# --------------------
# `RankingDisplay` compares a few layers by estimates that need no grid search, and by a
# cross-validated linear model. With cached rows, that model is as cheap as the estimates, and more
# reliable.

candidates = {
    layer: PretrainedImageFeaturizer(image_size=64, layer=layer)
    for layer in ("features.1", "features.6", "features.13", "features.18")
}
ranking = RankingDisplay.from_features(candidates, X, y, cv=4)
plt.show()

# %%
# Few labels, or many?
# --------------------
# Several searches can be shown in one figure. With only a few labels per class, it is harder to
# choose a layer, as the error bars show. No image goes through the network again.

folds = StratifiedKFold(5, shuffle=True, random_state=0)
few = [(train[::10], test) for train, test in folds.split(X, y)]
frugal = GridSearchCV(
    pipeline, {"featurizer__layer": stages, "head__C": [0.01, 1]}, cv=few, refit=False
).fit(X, y)
LayerScoreDisplay.from_search({"194 labels": search, "20 labels": frugal}, score_name="accuracy")
plt.show()
