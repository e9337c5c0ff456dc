"""The default way to resize → how far it moves features from exact resizing, and what it saves.

python benchmarks/resizing.py
"""

import time

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from sklearn_pretrained import PretrainedImageFeaturizer

photos = load_sample_images().images
X = [
    Image.fromarray(photo[i : i + 300, j : j + 400])
    for photo in photos
    for i in (0, 60, 120)
    for j in (0, 80, 160, 240)
]
rows, seconds = {}, {"fast": [], "exact": []}
for _ in range(5):
    for resize, spent in seconds.items():
        featurizer = PretrainedImageFeaturizer(resize=resize, cache=None).fit(X)
        started = time.perf_counter()
        rows[resize] = featurizer.transform(X)
        spent.append(time.perf_counter() - started)
apart = np.linalg.norm(rows["fast"] - rows["exact"], axis=1)
moved = apart / np.linalg.norm(rows["exact"], axis=1)
ratio = np.median(np.divide(seconds["exact"], seconds["fast"]))
print(
    f"{len(X)} images, MobileNetV2: rows moved by {np.median(moved):.2%}, at most {moved.max():.2%}"
)
print(f"exact resizing takes {ratio:.2f} × the time of a whole pass")
