"""
Which layer is best? One pass tells
===================================

Early layers see edges, late layers see objects, and which of them separates *your* classes is a
question for cross-validation. Here every main stage of MobileNetV2 is tried for telling faces from
other things. The network sees each picture once, whatever the number of layers, folds and heads.
"""

# %%
# A hundred faces, a hundred other things
# ---------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline

from sklearn_pretrained import PretrainedImageFeaturizer, list_layers

X = data.lfw_subset()  # floats in [0, 1], 25×25 pixels
y = np.repeat(["face", "other"], 100)

# %%
# The layers, and what reaching each of them costs
# ------------------------------------------------

table = list_layers("mobilenet_v2")
print(table)

# %%
# The search
# ----------
# It is scikit-learn's own. `image_size=96` keeps the example quick.

stages = list(table.plan.stages)
pipeline = Pipeline(
    [
        ("featurizer", PretrainedImageFeaturizer(image_size=96)),
        ("head", LogisticRegression(max_iter=1000)),
    ]
)
search = GridSearchCV(
    pipeline,
    {"featurizer__layer": stages, "head__C": [0.01, 1]},
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
).fit(X, y)

# %%
# The refitted featurizer computed nothing: its rows were known from the search.

best = search.best_estimator_["featurizer"]
print(search.best_params_, f"{search.best_score_:.3f}", best.counts_)

# %%
# Accuracy against cost
# ---------------------

results = search.cv_results_
costs, means, spreads = [], [], []
for stage in stages:
    tried = [i for i, p in enumerate(results["params"]) if p["featurizer__layer"] == stage]
    top = max(tried, key=lambda i: results["mean_test_score"][i])
    costs.append(table.plan.layers[stage].cost)
    means.append(results["mean_test_score"][top])
    spreads.append(results["std_test_score"][top])

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.errorbar(costs, means, yerr=spreads, marker="o", capsize=3)
axes.axvline(table.plan.layers[search.best_params_["featurizer__layer"]].cost, ls=":", c="gray")
axes.set(
    xlabel="share of the network's work done when the layer is reached",
    ylabel="cross-validated accuracy",
    title="Faces or other things: every main stage of MobileNetV2",
)
plt.show()
