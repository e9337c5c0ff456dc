"""
Classify photographs in three lines
===================================

Photographs of brick, grass and gravel are cut into patches, of which only eight per class are
labelled. A logistic regression on the features of MobileNetV2, whose weights come with the package,
tells the textures apart. On raw pixels, it cannot.
"""

# %%
# The patches
# -----------
# Training patches of 32×32 pixels come from the upper part of each photograph, and test patches
# from the lower part, so that they have no pixels in common.

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer

names = ["brick", "grass", "gravel"]
X_train, X_test, y_train, y_test = [], [], [], []
for name in names:
    photo = np.asarray(Image.fromarray(getattr(data, name)()).resize((256, 256)))
    patches = [photo[i : i + 32, j : j + 32] for i in range(0, 256, 32) for j in range(0, 256, 32)]
    X_train += patches[:8]
    X_test += patches[16:]
    y_train += [name] * 8
    y_test += [name] * 48

# %%
# The classifier
# --------------
# The featurizer resizes and normalises each patch as MobileNetV2 expects it, runs the network
# without its last layer, and returns 1,280 features.

pipeline = make_pipeline(PretrainedImageFeaturizer(), LogisticRegression(max_iter=1000))
pipeline.fit(X_train, y_train)
score = pipeline.score(X_test, y_test)

pixels = LogisticRegression(max_iter=1000).fit(np.stack(X_train).reshape(24, -1) / 255, y_train)
pixel_score = pixels.score(np.stack(X_test).reshape(144, -1) / 255, y_test)
print(f"pretrained features {score:.3f}, raw pixels {pixel_score:.3f}")

# %%
# Predictions
# -----------

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
montage = np.vstack([np.hstack(X_test[i * 48 : i * 48 + 6]) for i in range(3)])
left.imshow(montage, cmap="gray")
left.set(xticks=[], yticks=[16, 48, 80], yticklabels=names, title="Test patches")
ConfusionMatrixDisplay.from_predictions(
    y_test, pipeline.predict(X_test), ax=right, colorbar=False, cmap="Blues"
)
right.set_title(f"accuracy {score:.1%} (raw pixels: {pixel_score:.1%})")
plt.show()
