"""What a search over layers costs, in units of one pass over the images.

    python benchmarks/layer_search.py [N] [resnet18]

scikit-learn's GridSearchCV over five layers, five folds and three head parameters, three ways in
one run: with the default cache, with Pipeline(memory=...), and without any. The scores must agree.
The images are N patches of scikit-learn's sample pictures. The network is MobileNetV2, or ResNet-18
with random weights. A pass is one forward of all images to the deepest of the layers, with nothing
kept.
"""

import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from sklearn_pretrained import PretrainedImageFeaturizer, memory_cache
from sklearn_pretrained.exceptions import RandomWeightsWarning

n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
model = sys.argv[2] if len(sys.argv) > 2 else "mobilenet_v2"
weights = "default" if model == "mobilenet_v2" else None
warnings.simplefilter("ignore", RandomWeightsWarning)
warnings.simplefilter("ignore", ConvergenceWarning)  # the labels mean nothing
rng = np.random.default_rng(0)
pictures = load_sample_images().images
corners = [(i % 2, rng.integers(0, 227), rng.integers(0, 440)) for i in range(n)]
X = [
    np.ascontiguousarray(pictures[k][top : top + 200, left : left + 200])
    for k, top, left in corners
]
y = rng.permutation(n) % 2
layers = {
    "mobilenet_v2": ["features.3", "features.6", "features.10", "features.14", "penultimate"],
    "resnet18": ["layer1", "layer2", "layer3", "layer4", "penultimate"],
}[model]


def featurizer(**parameters):
    return PretrainedImageFeaturizer(model, weights=weights, device="cpu", **parameters)


grid = {"featurizer__layer": layers, "head__C": [0.01, 0.1, 1.0]}


def search(cache, memory=None):
    pipeline = Pipeline(
        [
            ("featurizer", featurizer(cache=cache)),
            ("head", LogisticRegression(max_iter=200)),
        ],
        memory=memory,
    )
    started = time.perf_counter()
    found = GridSearchCV(pipeline, grid, cv=5, error_score="raise").fit(X, y)
    return time.perf_counter() - started, found.cv_results_["mean_test_score"]


def heads_alone():
    """Time the same search over features that are there: the heads and scikit-learn's own work."""
    spent = 0.0
    for layer in layers:
        features = featurizer(layer=layer).fit_transform(X)
        pipeline = Pipeline(
            [("featurizer", FunctionTransformer()), ("head", LogisticRegression(max_iter=200))]
        )
        heads = {"head__C": grid["head__C"]}
        started = time.perf_counter()
        GridSearchCV(pipeline, heads, cv=5, refit=False).fit(features, y)
        spent += time.perf_counter() - started
    return spent


def one_pass():
    started = time.perf_counter()
    featurizer(cache=None).fit_transform(X)
    return time.perf_counter() - started


featurizer(cache=None).fit_transform(X[:16])
passes, searches, heads, beyond = [], [], [], []
# The heads' many small problems are fitted fastest by one thread of NumPy's, and most evenly.
with threadpool_limits(1, "blas"):
    for _ in range(5):
        memory_cache().clear()
        before = one_pass()
        spent, scores = search("memory")
        alone = heads_alone()
        passes.append((before + one_pass()) / 2)
        searches.append(spent)
        heads.append(alone)
        beyond.append((spent - alone) / passes[-1])
    found = " ".join(f"{passes:.2f}" for passes in sorted(beyond))
    print(
        f"default cache, less the heads: {np.median(beyond):.2f} passes, from {found}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        piped, piped_scores = search(None, memory=folder)
    plain, plain_scores = search(None)
one, ours = np.median(passes), np.median(searches)
np.testing.assert_allclose(piped_scores, plain_scores, atol=1e-9)
print(
    f"{n} images, one pass {one:.2f} s, the heads alone {np.median(heads):.2f} s; whole searches:"
)
for name, spent in [("default cache", ours), ("Pipeline(memory=)", piped), ("no cache", plain)]:
    print(f"{name:20} {spent:7.2f} s {spent / one:7.2f} passes {plain / spent:7.1f} × no cache")
print(f"largest difference of scores: {np.abs(scores - plain_scores).max():.1e}")
