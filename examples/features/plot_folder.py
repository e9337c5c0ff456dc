"""
Features of a folder of files
=============================

`load_image_folder` lists the files of a folder, and the featurizer opens them when it needs them. A
file that cannot be read becomes a row of NaN, and with a cache no row is computed twice. As an
application, we measure how much accuracy JPEG compression costs.
"""

# %%
# A folder for each class
# -----------------------
# The training files are nearly uncompressed. One of them is damaged.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skimage import data
from sklearn.linear_model import LogisticRegression

from sklearn_pretrained import PretrainedImageFeaturizer, load_image_folder

folder = Path(tempfile.mkdtemp())
qualities = [2, 5, 10, 20, 40, 80]


def save(where, top, quality):
    """Write patches of three textures as JPEG files of a quality."""
    for name in ("brick", "grass", "gravel"):
        (where / name).mkdir(parents=True, exist_ok=True)
        photo = getattr(data, name)()
        for i in range(top, top + 224, 32):
            for j in range(0, 512, 64):
                patch = Image.fromarray(photo[i : i + 24, j : j + 24])
                patch.save(where / name / f"{i:03}_{j:03}.jpg", quality=quality)


save(folder / "train", 0, 95)
for quality in qualities:
    save(folder / f"test_{quality}", 256, quality)
damaged = folder / "train" / "brick" / "000_000.jpg"
damaged.write_bytes(damaged.read_bytes()[:100])

# %%
# Features, and a file that could not be read
# -------------------------------------------

train = load_image_folder(folder / "train")
print(len(train.data), "files of", train.target_names)

featurizer = PretrainedImageFeaturizer(
    image_size=96, layer="features.6", on_error="nan", cache=str(folder / "features.sqlite")
)
rows = featurizer.fit_transform(train.data)
print(rows.shape, featurizer.bad_items_)

good = ~np.isnan(rows).any(axis=1)
head = LogisticRegression(max_iter=1000).fit(rows[good], train.target[good])

# %%
# The second time, all rows come from the cache file, which other programs can use too.

featurizer.transform(train.data)
print(featurizer.counts_)

# %%
# Accuracy against compression
# ----------------------------

scores = []
for quality in qualities:
    test = load_image_folder(folder / f"test_{quality}")
    scores.append(head.score(featurizer.transform(test.data), test.target))
    print(f"quality {quality:2}: {scores[-1]:.3f}")

_, ax = plt.subplots(layout="constrained")
ax.plot(qualities, scores, color="#0072B2", marker="o")
ax.set(xscale="log", xticks=qualities, xticklabels=qualities)
ax.set(xlabel="JPEG quality of the test files", ylabel="accuracy")
ax.minorticks_off()
plt.show()
