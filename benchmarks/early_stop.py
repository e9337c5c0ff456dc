"""What reading a layer costs, as a share of the whole forward: measured against planned.

    python benchmarks/early_stop.py [MODEL]

Random weights will do. Layers take turns, several rounds, and medians are compared.
"""

import sys
import time
import warnings

import numpy as np

from sklearn_pretrained import PretrainedImageFeaturizer, list_layers
from sklearn_pretrained.exceptions import RandomWeightsWarning

ROUNDS = 7
warnings.simplefilter("ignore", RandomWeightsWarning)
model = sys.argv[1] if len(sys.argv) > 1 else "resnet50"
images = np.random.default_rng(0).integers(0, 256, (16, 224, 224, 3), dtype=np.uint8)
table = list_layers(model, weights=None)
featurizers = {
    layer.name: PretrainedImageFeaturizer(
        model, weights=None, layer=layer.name, cache=None, device="cpu"
    ).fit(images)
    for layer in table
    if layer.layout is not None
}
times = {name: [] for name in featurizers}
for round_ in range(ROUNDS + 1):
    for name, featurizer in featurizers.items():
        started = time.perf_counter()
        featurizer.transform(images)
        if round_:  # the first round warms up
            times[name].append(time.perf_counter() - started)
whole = np.median(times["output"])
print(f"{model}, {len(images)} images, medians of {ROUNDS} rounds")
print(f"{'layer':40} {'planned':>8} {'measured':>8}")
for name, spent in times.items():
    print(f"{name:40} {table.plan.layers[name].cost:8.1%} {np.median(spent) / whole:8.1%}")
