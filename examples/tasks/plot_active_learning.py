"""
Active learning
===============

Which image should be labelled next? Features are computed once, so the classifier can be refitted
in no time after each label. Asking for the labels of which it is least sure needs fewer labels than
asking at random.
"""

# %%
# Patches of four textures, eight of them labelled
# ------------------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression

from sklearn_pretrained import PretrainedImageFeaturizer

textures = [data.brick(), data.grass(), data.gravel(), data.coins()[:300, :380]]
X = [
    t[i : i + 24, j : j + 24]
    for t in textures
    for i in range(0, 276, 24)
    for j in range(0, 288, 24)
]
y = np.repeat(np.arange(4), len(X) // 4)
rows = PretrainedImageFeaturizer(image_size=64, layer="features.6").fit_transform(X)
order = np.random.default_rng(0).permutation(len(X))
pool, test = order[:300], order[300:]

# %%
# Two ways to choose
# ------------------


def learn(ask, start=8, more=4, rounds=16):
    """Return the number of labels and the accuracy after each round."""
    known = list(pool[:start])
    curve = []
    for _ in range(rounds):
        head = LogisticRegression(max_iter=1000).fit(rows[known], y[known])
        curve.append((len(known), head.score(rows[test], y[test])))
        left = np.setdiff1d(pool, known)
        known += list(ask(head, left)[:more])
    return np.array(curve)


def by_margin(head, left):
    """Ask where the two likeliest classes are closest."""
    first, second = np.sort(head.predict_proba(rows[left]), axis=1)[:, [-1, -2]].T
    return left[np.argsort(first - second)]


random = np.random.default_rng(1)
drawn = np.mean([learn(lambda _, left: random.permutation(left)) for _ in range(10)], axis=0)
chosen = learn(by_margin)
print(
    f"with {chosen[-1, 0]:.0f} labels: {chosen[-1, 1]:.3f} asked for, {drawn[-1, 1]:.3f} at random"
)

# %%
# Accuracy against labels
# -----------------------

_, ax = plt.subplots(layout="constrained")
ax.plot(*chosen.T, color="#D55E00", marker="o", label="least certain first")
ax.plot(*drawn.T, color="#0072B2", marker="s", label="at random, mean of 10")
ax.set(xlabel="labels", ylabel="test accuracy")
ax.legend()
plt.show()
