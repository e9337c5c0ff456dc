"""
Regression on images
=====================

How far is the camera from the ground? Patches of gravel are cut out at many distances. A ridge
regression on features of a frozen network predicts the distance for a part of the ground that it
has not seen.
"""

# %%
# Patches at distances between 1 and 4
# ------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from sklearn.linear_model import RidgeCV
from sklearn.metrics import PredictionErrorDisplay, r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import PretrainedImageFeaturizer

ground = data.gravel()
random = np.random.default_rng(0)


def patches(n, left, right):
    """Cut patches out of a part of the ground, and return the distances."""
    X, y = [], random.uniform(1, 4, n)
    for distance in y:
        side = int(48 * distance)
        i, j = random.integers(0, 512 - side), random.integers(left, right - side + 1)
        X.append(Image.fromarray(ground[i : i + side, j : j + side]).resize((64, 64)))
    return X, y


X_train, y_train = patches(200, 0, 256)
X_test, y_test = patches(150, 256, 512)

# %%
# Which layer is best?
# --------------------

best = {}
for layer in ("features.3", "features.6", "features.13", "penultimate"):
    featurizer = PretrainedImageFeaturizer(image_size=96, layer=layer)
    pipeline = make_pipeline(featurizer, StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
    best[layer] = cross_val_score(pipeline, X_train, y_train, cv=5).mean(), pipeline
    print(f"{layer:12} R² {best[layer][0]:.3f}")
_, pipeline = max(best.values(), key=lambda found: found[0])

# %%
# Predicted distances on unseen ground
# ------------------------------------

found = pipeline.fit(X_train, y_train).predict(X_test)
_, ax = plt.subplots(layout="constrained")
PredictionErrorDisplay.from_predictions(
    y_test, found, kind="actual_vs_predicted", ax=ax, scatter_kwargs={"color": "#0072B2"}
)
ax.set(xticks=[1, 2, 3, 4], yticks=[1, 2, 3, 4])
ax.set(xlabel="predicted distance", ylabel="true distance")
ax.set_title(f"R² {r2_score(y_test, found):.3f} on the right half of the ground")
plt.show()
