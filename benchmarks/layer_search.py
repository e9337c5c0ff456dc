"""What a search over layers costs, in units of one pass over the images.

    python benchmarks/layer_search.py [N]

scikit-learn's GridSearchCV over five layers, five folds and three head parameters, three ways in
one run: with the default cache, with Pipeline(memory=...), and without any. The scores must agree.
The images are N patches of scikit-learn's sample pictures, the network is MobileNetV2.
"""

import sys
import tempfile
import time

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained._cache import memory_cache

n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
rng = np.random.default_rng(0)
pictures = load_sample_images().images
corners = [(i % 2, rng.integers(0, 227), rng.integers(0, 440)) for i in range(n)]
X = [
    np.ascontiguousarray(pictures[k][top : top + 200, left : left + 200])
    for k, top, left in corners
]
y = rng.permutation(n) % 2
layers = ["features.3", "features.6", "features.10", "features.14", "penultimate"]
grid = {"featurizer__layer": layers, "head__C": [0.01, 0.1, 1.0]}


def search(cache, memory=None):
    pipeline = Pipeline(
        [
            ("featurizer", PretrainedImageFeaturizer(cache=cache, device="cpu")),
            ("head", LogisticRegression(max_iter=200)),
        ],
        memory=memory,
    )
    started = time.perf_counter()
    found = GridSearchCV(pipeline, grid, cv=5, error_score="raise").fit(X, y)
    return time.perf_counter() - started, found.cv_results_["mean_test_score"]


def heads_alone():
    """Time the heads' own fitting, over features that are there."""
    spent = 0.0
    for layer in layers:
        features = PretrainedImageFeaturizer(layer=layer, device="cpu").fit_transform(X)
        started = time.perf_counter()
        heads = {"C": grid["head__C"]}
        GridSearchCV(LogisticRegression(max_iter=200), heads, cv=5, refit=False).fit(features, y)
        spent += time.perf_counter() - started
    return spent


PretrainedImageFeaturizer(cache=None, device="cpu").fit_transform(X[:16])
passes = []
for _ in range(3):
    started = time.perf_counter()
    PretrainedImageFeaturizer(cache=None, device="cpu").fit_transform(X)
    passes.append(time.perf_counter() - started)
one = float(np.median(passes))
memory_cache().store.clear()
ours, scores = search("memory")
heads = heads_alone()
with tempfile.TemporaryDirectory() as folder:
    piped, piped_scores = search(None, memory=folder)
plain, plain_scores = search(None)
np.testing.assert_allclose(piped_scores, plain_scores, atol=1e-9)
print(f"{n} images, one pass {one:.2f} s, the heads alone {heads:.2f} s; whole searches in passes:")
for name, spent in [("default cache", ours), ("Pipeline(memory=)", piped), ("no cache", plain)]:
    print(f"{name:20} {spent:7.2f} s {spent / one:7.2f} {plain / spent:7.1f} × no cache")
print(f"default cache, less the heads: {(ours - heads) / one:.2f} passes")
print(f"largest difference of scores: {np.abs(scores - plain_scores).max():.1e}")
