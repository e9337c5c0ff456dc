"""
Use your own network
====================

A small autoencoder is trained on unlabelled digits. A classifier with few labels then reads the 24
features of its bottleneck, which are as good as the 64 pixels. Layers, caching and checks work as
for pretrained networks.
"""

# %%
# An autoencoder, trained without labels
# --------------------------------------

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, list_layers

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

torch.manual_seed(0)
network = nn.Sequential(
    nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 24), nn.GELU(), nn.Linear(24, 128), nn.GELU(),
    nn.Linear(128, 64),
)  # fmt: skip
optimiser = torch.optim.Adam(network.parameters(), 3e-3)
batch = torch.from_numpy(X_train)
for _ in range(400):
    optimiser.zero_grad()
    noisy = batch * torch.rand_like(batch).gt(0.3)
    loss = nn.functional.mse_loss(network(noisy), batch)
    loss.backward()
    optimiser.step()

# %%
# Its layers
# ----------

print(list_layers(network, shape=(64,)))

# %%
# A classifier with few labels
# ----------------------------
# The featurizer uses a frozen copy, so you can continue to train the network.

sizes = [10, 20, 50, 100, 300]
scores = {"pixels": [], "bottleneck, 24 features": []}
for size in sizes:
    few, labels = X_train[:size], y_train[:size]
    plain = LogisticRegression(max_iter=2000).fit(few, labels)
    deep = make_pipeline(ModuleFeaturizer(network, layer="3"), LogisticRegression(max_iter=2000))
    deep.fit(few, labels)
    scores["pixels"].append(plain.score(X_test, y_test))
    scores["bottleneck, 24 features"].append(deep.score(X_test, y_test))

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, values in scores.items():
    axes.plot(sizes, values, marker="o", label=name)
axes.set(xscale="log", xlabel="labelled digits", ylabel="test accuracy", title="Few labels")
axes.legend()
plt.show()
