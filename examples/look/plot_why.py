"""
Why this class?
===============

If features are means over positions, the decision of a linear classifier is a sum over positions.
So the contribution of each part of an image, and of each word of a text, is known exactly.
"""

# %%
# A classifier of cats and cups
# -----------------------------

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import (
    ContributionDisplay,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
)

photos = {"cat": data.chelsea(), "cup": data.coffee()}
X = [
    p[i : i + 160, j : j + 160]
    for p in photos.values()
    for i in (0, 60, 120)
    for j in (0, 140, 280)
]
y = [name for name in photos for _ in range(9)]
pipeline = make_pipeline(PretrainedImageFeaturizer(layer="features.13"), StandardScaler())
pipeline.steps.append(("head", LogisticRegression(max_iter=1000)))
pipeline.fit(X, y)

# %%
# Parts that speak for the class are orange, and parts that speak against it purple. The image shows
# both photographs side by side, and each half speaks for its own class.

both = np.hstack([data.chelsea()[:, 80:230], data.coffee()[50:350, 230:380]])
_, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for class_, ax in (("cat", left), ("cup", right)):
    display = ContributionDisplay.from_estimator(pipeline, both, class_=class_, ax=ax)
print(display)

# %%
# Words
# -----

try:
    here = Path(__file__).parent.parent
except NameError:  # in the documentation's gallery
    here = Path.cwd().parent
emails = [
    json.loads(line) for line in (here / "data" / "emails.jsonl").read_text().splitlines()[::6]
]
texts = make_pipeline(
    PretrainedTextFeaturizer(max_length=64, truncation="cut"), LogisticRegression()
)
texts.fit([e["text"] for e in emails], [e["label"] for e in emails])
offer = "Dear friend, claim your free prize today. The meeting notes of Monday are attached."
print(ContributionDisplay.from_estimator(texts, offer, class_="spam"))
plt.show()
