"""
Duplicates that leak between folds
==================================

Photographs that were saved twice, mirrored or cropped lie in training and test rows, and the score
is too good. Groups of near duplicates, found in the same features, put them on one side.
"""

# %%
# Hard labels, and copies
# -----------------------
# Faces bear random labels, which nobody can learn. Half of them come twice, cropped or mirrored.

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score

from sklearn_pretrained import (
    NeighborsDisplay,
    PretrainedImageFeaturizer,
    near_duplicate_groups,
)

faces = (data.lfw_subset()[:80] * 255).astype(np.uint8)
random = np.random.default_rng(0)
labels = random.integers(2, size=80)
copies = [face[1:-1, 1:-1] if i % 2 else face[:, ::-1] for i, face in enumerate(faces[:40])]
X, y = [*faces, *copies], np.r_[labels, labels[:40]]
rows = PretrainedImageFeaturizer(image_size=96, augment="flip").fit_transform(X)

# %%
# Groups
# ------

groups = near_duplicate_groups(rows)
found = np.mean(groups[:40] == groups[80:])
print(f"{found:.0%} of the copies are in their original's group; {groups.max() + 1} groups")
NeighborsDisplay.from_features(rows, [0, 1, 2], items=X, n_neighbors=4)

# %%
# The leak
# --------

head = LogisticRegression(C=100, max_iter=2000)
leaky = cross_val_score(head, rows, y, cv=KFold(5, shuffle=True, random_state=0))
honest = cross_val_score(head, rows, y, groups=groups, cv=GroupKFold(5))
_, ax = plt.subplots(layout="constrained")
ax.bar(["folds as they fall", "groups on one side"], [leaky.mean(), honest.mean()], color="#0072B2")
ax.axhline(0.5, color="black", linestyle="--", label="chance: labels are random")
ax.set(ylabel="accuracy", ylim=(0, 1))
ax.legend()
plt.show()
