"""
Image search
============

Find the images whose features are nearest to those of a query, without labels.
"""

# %%
# Crops of eleven photographs
# ---------------------------

import numpy as np
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_images

from sklearn_pretrained import FeatureMapDisplay, NeighborsDisplay, PretrainedImageFeaturizer

photos = {name: getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
photos |= {name: getattr(data, name)() for name in ("brick", "grass", "gravel", "camera", "coins")}
photos |= dict(zip(("palace", "flower"), load_sample_images().images, strict=True))
random = np.random.default_rng(0)
X, y = [], []
for name, photo in photos.items():
    for _ in range(8):
        side = int(min(photo.shape[:2]) * random.uniform(0.35, 0.6))
        top, left = (int(random.integers(n - side)) for n in photo.shape[:2])
        X.append(Image.fromarray(photo[top : top + side, left : left + side]).convert("RGB"))
        y.append(name)

# %%
# The nearest neighbours of three crops
# -------------------------------------
# The frame is blue if a crop is from the same photograph as the query, and orange otherwise.

featurizer = PretrainedImageFeaturizer().fit(X)
display = NeighborsDisplay.from_estimator(featurizer, X, [0, 12, 80], y=y)
print(display)

# %%
# All crops
# ---------

map_ = FeatureMapDisplay.from_estimator(featurizer, X, y, method="tsne", n_shown=40)
print(map_)
