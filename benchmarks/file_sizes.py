"""Fitted estimators → how large their files are, and what becomes of weights that have changed.

    python benchmarks/file_sizes.py            # --write also writes into docs/production.md

Each is saved by joblib, as it is and with its network inside. Then a bit is flipped in a file of
weights that an estimator was fitted with.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import safetensors.torch
import torchvision
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import (
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    __version__,
    embed_weights,
)
from sklearn_pretrained.exceptions import WeightsError

PAGE = Path(__file__).parent.parent / "docs" / "production.md"
START, END = "<!-- sizes: start -->", "<!-- sizes: end -->"
IMAGES = [i[a : a + 200, :200] for i in load_sample_images().images for a in range(0, 200, 20)]
TEXTS = [f"{word} {n}" for word in ("a palace", "a flower") for n in range(10)]
ESTIMATORS = {
    "MobileNetV2, LogisticRegression": (
        make_pipeline(PretrainedImageFeaturizer(image_size=64), LogisticRegression()),
        IMAGES,
    ),
    "all-MiniLM-L6-v2, LogisticRegression": (
        make_pipeline(PretrainedTextFeaturizer(), LogisticRegression()),
        TEXTS,
    ),
}


def size(path):
    """Write the size of a file."""
    n = path.stat().st_size
    return f"{n / 1e6:.1f} MB" if n >= 1e6 else f"{n / 1e3:.1f} kB"


def rows(folder):
    """Save each estimator both ways, and yield a line of the table."""
    y = np.repeat(["palace", "flower"], 10)
    for name, (estimator, X) in ESTIMATORS.items():
        estimator.fit(X, y)
        joblib.dump(estimator, folder / "small")
        joblib.dump(embed_weights(estimator), folder / "whole")
        yield f"| {name} | {size(folder / 'small')} | {size(folder / 'whole')} |"


def noticed(folder):
    """Return whether a file of weights is refused after one of its bits was flipped."""
    path = folder / "weights.safetensors"
    network = torchvision.models.resnet18()
    safetensors.torch.save_file(network.state_dict(), path)
    featurizer = PretrainedImageFeaturizer("resnet18", weights=str(path), image_size=64)
    joblib.dump(featurizer.fit(IMAGES), folder / "pinned")
    held = bytearray(path.read_bytes())
    held[-1000] ^= 1
    path.write_bytes(held)
    try:
        joblib.load(folder / "pinned").transform(IMAGES)
    except WeightsError:
        return True
    return False


def main():
    """Print the table, and write it where that is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        lines = ["| | file | with its network |", "|---|--:|--:|", *rows(Path(folder))]
        lines += [
            f"| weights with one bit flipped | {'' if noticed(Path(folder)) else 'not '}refused | |"
        ]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    lines += ["", f"{today}, `benchmarks/file_sizes.py`, sklearn-pretrained {__version__}."]
    print(*lines, sep="\n")
    if "--write" in sys.argv:
        before, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text("\n".join([before + START, "", *lines, "", END + rest.partition(END)[2]]))


if __name__ == "__main__":
    main()
