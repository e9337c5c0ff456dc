"""sklearn-pretrained with default parameters, but for the cache, which would know every row."""

import sys
from pathlib import Path

import given

sys.path.insert(0, str(Path(__file__).parents[3]))


def make(task, **parameters):
    """Fit once; a pass is a transform."""
    from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer

    items = given.items(task)
    if task["kind"] == "texts":
        one = PretrainedTextFeaturizer(
            task["folder"], truncation="cut", cache=None, device="cpu", **parameters
        )
    else:
        # By a path, MobileNetV2's preparation would be that of its newer weights.
        weights = "default" if task["network"] == "mobilenet_v2" else task["weights"]
        one = PretrainedImageFeaturizer(
            task["network"], weights=weights, cache=None, device="cpu", **parameters
        )
    one.fit(items[:1])
    return lambda: one.transform(items)
