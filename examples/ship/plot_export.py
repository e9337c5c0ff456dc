"""
Export a pipeline to ONNX
=========================

A pipeline is written as one ONNX file that needs neither torch nor scikit-learn. The file is
compared with the pipeline before it is written. Here we also compare 32-bit and 8-bit weights.
"""

# %%
# A pipeline
# ----------

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer, export_onnx
from sklearn_pretrained.exported import load

photos = [data.brick(), data.grass(), data.gravel()]
places = [(i, j) for i in range(0, 224, 32) for j in range(0, 480, 32)]
X_train = [photo[i : i + 16, j : j + 16] for photo in photos for i, j in places]
X_test = [photo[i + 256 : i + 272, j : j + 16] for photo in photos for i, j in places]
y = np.repeat(["brick", "grass", "gravel"], len(places))
featurizer = PretrainedImageFeaturizer(image_size=64, layer="features.6")
pipeline = make_pipeline(featurizer, LogisticRegression(max_iter=1000)).fit(X_train, y)
print(f"the pipeline: {pipeline.score(X_test, y):.3f}")

# %%
# Two files
# ---------
# With `y` and `min_score`, a file with 8-bit weights is only written if it scores at least that
# much.

folder = Path(tempfile.mkdtemp())
here, said = pipeline.predict_proba(X_test), {}
for weights in ("float32", "int8"):
    path = folder / f"{weights}.onnx"
    export_onnx(pipeline, path, examples=X_train[::5], y=y[::5], weights=weights, min_score=0.9)
    file = load(path)
    said[weights] = file.predict_proba(X_test), path.stat().st_size
    print(
        f"{weights}: {path.stat().st_size / 1000:.0f} kB, accuracy "
        f"{np.mean(file.predict(X_test) == y):.3f}"
    )

# %%
# Probabilities of the files and of the pipeline
# ----------------------------------------------

_, axes = plt.subplots(1, 2, figsize=(8, 4), sharex=True, sharey=True, layout="constrained")
for ax, (weights, (there, size)) in zip(axes, said.items(), strict=True):
    ax.plot([0, 1], [0, 1], ":", color="black")
    ax.scatter(here, there, s=12, color="#0072B2", alpha=0.5)
    largest = np.abs(here - there).max()
    ax.set(title=f"{weights}, {size / 1000:.0f} kB\nlargest difference {largest:.0e}")
    ax.set(xlabel="probability, pipeline")
axes[0].set_ylabel("probability, file")
plt.show()
