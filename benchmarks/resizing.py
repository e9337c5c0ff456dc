"""The default way to resize → how far it moves features from exact resizing, and what it saves.

python benchmarks/resizing.py
"""

import time

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.transforms.v2 import functional

from sklearn_pretrained import PretrainedImageFeaturizer


def spent(work, of):
    """Seconds that the work takes for each of them."""
    started = time.perf_counter()
    for one in of:
        work(one)
    return (time.perf_counter() - started) / len(of)


photos = load_sample_images().images
X = [
    Image.fromarray(photo[i : i + 300, j : j + 400])
    for photo in photos
    for i in (0, 60, 120)
    for j in (0, 80, 160, 240)
]
rows, seconds, alone = {}, {"fast": [], "exact": []}, {"fast": [], "exact": []}
for _ in range(5):
    for resize, taken in seconds.items():
        featurizer = PretrainedImageFeaturizer(resize=resize, cache=None).fit(X)
        started = time.perf_counter()
        rows[resize] = featurizer.transform(X)
        taken.append(time.perf_counter() - started)
apart = np.linalg.norm(rows["fast"] - rows["exact"], axis=1)
moved = apart / np.linalg.norm(rows["exact"], axis=1)
ratio = np.median(np.divide(seconds["exact"], seconds["fast"]))
print(
    f"{len(X)} images, MobileNetV2: rows moved by {np.median(moved):.2%}, at most {moved.max():.2%}"
)
print(f"exact resizing takes {ratio:.2f} × the time of a whole pass")

threads = torch.get_num_threads()
torch.set_num_threads(1)
tensors = [torch.from_numpy(photo).permute(2, 0, 1) for photo in photos] * 10
images = [Image.fromarray(photo) for photo in photos] * 10
for _ in range(5):
    alone["fast"].append(spent(lambda one: functional.resize(one, [256]), tensors))
    alone["exact"].append(
        spent(lambda one: functional.pil_to_tensor(functional.resize(one, [256])), images)
    )
torch.set_num_threads(threads)
fast, exact = (1e3 * np.median(alone[resize]) for resize in ("fast", "exact"))
print(f"resizing an image of 640×427 alone, one thread: {fast:.2f} ms, exact {exact:.2f} ms")
