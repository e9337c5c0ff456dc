"""What training the upper layers gains, and what an epoch costs beside a tutorial's.

    python benchmarks/finetuning.py ../shared/data            # flowers and SIB-200
    python benchmarks/finetuning.py ../shared/data --epochs   # what an epoch costs

Accuracies are means over five seeds. An epoch is timed in one run, on one thread: from cached
activations, and through the whole network with its upper layers unfrozen, as tutorials do.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from sklearn_pretrained import (
    FeatureCache,
    FineTunedClassifier,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
)


def flowers(data: Path, part: str) -> tuple[list[str], list[str]]:
    """List photographs and their kinds."""
    paths = sorted((data / "flowers" / part).rglob("*.jpg"))
    return [str(path) for path in paths], [path.parent.name for path in paths]


def accuracy(name: str, estimator, train, test, seeds: range) -> None:
    """Print the mean over seeds, beside the frozen probe's."""
    probe = estimator(None, 0).fit(*train).score(*test)
    found = [estimator(..., seed).fit(*train).score(*test) for seed in seeds]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    print(f"{name:32} probe {probe:.4f}  trained {np.mean(found):.4f} ± {error:.4f}  {found}")


def few_topics(data: Path, draws: int) -> None:
    """Train MiniLM's last two blocks on eight texts a topic, as MTEB draws them."""
    parts = {}
    for part in ("train", "test"):
        with (data / "sib200_english" / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        parts[part] = [row["text"] for row in rows], np.array([row["category"] for row in rows])
    (texts, topics), test = parts["train"], parts["test"]
    order, found = np.arange(len(texts)), []
    for _ in range(draws):
        np.random.RandomState(42).shuffle(order)
        chosen = [i for t in np.unique(topics) for i in order[topics[order] == t][:8]]
        train = [texts[i] for i in chosen], topics[chosen]
        featurizer = PretrainedTextFeaturizer()
        scores = [
            FineTunedClassifier(
                featurizer,
                train_from=start,
                objective="contrastive",
                validation_fraction=0,
                random_state=0,
            )
            .fit(*train)
            .score(*test)
            for start in (None, -3)
        ]
        found.append(scores)
        print("SIB-200, MiniLM, hidden_4: probe {:.4f}  trained {:.4f}".format(*scores), flush=True)
    print("mean: probe {:.4f}  trained {:.4f}".format(*np.mean(found, axis=0)))


def accuracies(data: Path, seeds: range) -> None:
    """Train on flowers from two layers."""
    train, test = flowers(data, "train"), flowers(data, "test")
    with tempfile.TemporaryDirectory() as place:
        featurizer = PretrainedImageFeaturizer(cache=FeatureCache(Path(place) / "rows.sqlite"))
        for layer in ("features.16", "features.13"):
            accuracy(
                f"flowers, MobileNetV2, {layer}",
                lambda start, seed, layer=layer: FineTunedClassifier(
                    featurizer, train_from=layer if start is ... else None, random_state=seed
                ),
                train,
                test,
                seeds,
            )


def epochs(data: Path) -> None:
    """Time an epoch over 160 photographs, from activations and as tutorials do."""
    torch.set_num_threads(1)
    X, y = flowers(data, "train")
    X, y = X[::3][:160], y[::3][:160]
    featurizer = PretrainedImageFeaturizer(cache="memory")
    for layer in ("features.16", "features.13"):
        tuned = FineTunedClassifier(
            featurizer, train_from=layer, epochs=3, validation_fraction=0, random_state=0
        ).fit(X, y)
        ours = min(record["seconds"] for record in tuned.history_[1:])
        theirs = tutorial(featurizer, X, np.unique(y, return_inverse=True)[1], tuned)
        print(f"{layer:12} cached {ours:6.2f} s  whole {theirs:6.2f} s  {theirs / ours:.1f} ×")


def tutorial(featurizer, X, y, tuned) -> float:
    """Time an epoch of the whole network, the trunk frozen, over images that are decoded."""
    backbone = featurizer._backbone()
    samples = backbone.prepare([np.asarray(item) for item in _decoded(X)])
    network = backbone.build().eval().requires_grad_(False)
    network.classifier[1] = torch.nn.Linear(1280, 5)
    above = int(tuned.train_from_.rpartition(".")[2]) + 1
    learning = [*network.features[above:].parameters(), *network.classifier.parameters()]
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(learning, lr=1e-3)
    took = []
    for _ in range(2):
        started = time.perf_counter()
        for start in range(0, len(samples), 32):
            batch = backbone.collate(samples[start : start + 32], "cpu", torch.float32)
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(batch), torch.from_numpy(y[start : start + 32]))
            loss.backward()
            optimizer.step()
        took.append(time.perf_counter() - started)
    return min(took)


def _decoded(X):
    from PIL import Image

    for path in X:
        with Image.open(path) as image:
            yield image.convert("RGB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", action="store_true")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.epochs:
        epochs(arguments.data)
    else:
        accuracies(arguments.data, range(arguments.seeds))
        few_topics(arguments.data, arguments.seeds)
