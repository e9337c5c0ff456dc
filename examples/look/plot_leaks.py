"""
Duplicates that leak between folds
==================================

If copies of a photograph, such as mirrored or cropped ones, are in both the training and the test
set, the score is too high. Near duplicates can be found by their features and kept on one side of a
split.
"""

# %%
# Random labels, and copies
# -------------------------
# The labels of these faces are random, so there is nothing to learn. Half of the faces occur twice,
# the second time cropped or mirrored.

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score

from sklearn_pretrained import DuplicatesDisplay, PretrainedImageFeaturizer

faces = (data.lfw_subset()[:80] * 255).astype(np.uint8)
random = np.random.default_rng(0)
labels = random.integers(2, size=80)
copies = [face[1:-1, 1:-1] if i % 2 else face[:, ::-1] for i, face in enumerate(faces[:40])]
X, y = [*faces, *copies], np.r_[labels, labels[:40]]
rows = PretrainedImageFeaturizer(image_size=96, augment="flip").fit_transform(X)

# %%
# Which pairs are near duplicates?
# --------------------------------
# Pairs are shown from the nearest to the farthest. With the default threshold, even the last pairs
# are clearly copies, so a higher one can be tried. These images have only 25 × 25 pixels, and
# cropping one of them changes the features more than in large photographs.

display = DuplicatesDisplay.from_features(rows, items=X)
print(display)
wider = DuplicatesDisplay.from_features(rows, items=X, threshold=2 * display.threshold)
print(wider)
for groups in (display.groups, wider.groups):
    print(f"{np.mean(groups[:40] == groups[80:]):.0%} of the copies are found")

# %%
# The leak
# --------
# The labels are random, so no classifier can do better than chance on new faces.

head = LogisticRegression(C=100, max_iter=2000)
leaky = cross_val_score(head, rows, y, cv=KFold(5, shuffle=True, random_state=0))
honest = cross_val_score(head, rows, y, groups=wider.groups, cv=GroupKFold(5))
_, ax = plt.subplots(layout="constrained")
ax.bar(["KFold", "GroupKFold"], [leaky.mean(), honest.mean()], color="#0072B2")
ax.axhline(0.5, color="black", linestyle="--", label="chance: labels are random")
ax.set(ylabel="accuracy", ylim=(0, 1))
ax.legend()
plt.show()

# %%
# Check a given split
# -------------------
# If the training and test sets are given, count the test rows that have a copy in the training set.

train, test = np.arange(len(X)) < 80, np.arange(len(X)) >= 80
leaked = np.isin(wider.groups[test], wider.groups[train])
print(f"{leaked.sum()} of {test.sum()} test rows have a copy in the training set")
