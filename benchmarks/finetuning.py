"""What training the upper layers gains, and what an epoch costs beside a tutorial's.

    python benchmarks/finetuning.py ../shared/data flowers topics spam   # or some of them
    python benchmarks/finetuning.py ../shared/data epochs                # what an epoch costs

Accuracies are means over seeds. Epochs are timed on one thread, in turn: from cached activations,
and through the whole network with its upper layers unfrozen, as tutorials do, once over inputs that
are prepared already and once with photographs read in each epoch. Those of a tutorial's own process
are timed by `finetuning_tutorial.py`.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
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
    adaptation_report,
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


def topics(data: Path, draws: int) -> None:
    """Train MiniLM's last two blocks on eight texts a topic, as MTEB draws them."""
    parts = {}
    for part in ("train", "test"):
        with (data / "sib200_english" / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        parts[part] = [row["text"] for row in rows], np.array([row["category"] for row in rows])
    (texts, labels), test = parts["train"], parts["test"]
    # Of so few rows none are held out: all are trained on, for the epochs that are asked for.
    parameters = {"validation_fraction": 0}
    order, found = np.arange(len(texts)), []
    for _ in range(draws):
        np.random.RandomState(42).shuffle(order)
        chosen = [i for t in np.unique(labels) for i in order[labels[order] == t][:8]]
        train = [texts[i] for i in chosen], labels[chosen]
        featurizer = PretrainedTextFeaturizer()
        scores = [
            FineTunedClassifier(
                featurizer,
                train_from=start,
                objective="contrastive",
                random_state=0,
                **parameters,
            )
            .fit(*train)
            .score(*test)
            for start in (None, -3)
        ]
        found.append(scores)
        print("SIB-200, MiniLM, hidden_4: probe {:.4f}  trained {:.4f}".format(*scores), flush=True)
    print("mean: probe {:.4f}  trained {:.4f}".format(*np.mean(found, axis=0)))


def spam(data: Path, n: int) -> None:
    """Ask for the verdict on messages, which the frozen network tells apart nearly always."""
    lines = (data / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("\t")[::2] for line in lines]
    chosen = np.random.RandomState(0).permutation(len(pairs))[:n]
    X, y = [pairs[i][1] for i in chosen], np.array([pairs[i][0] for i in chosen])
    featurizer = PretrainedTextFeaturizer(truncation="cut")
    print(f"SMS spam, {n} messages, MiniLM")
    print(adaptation_report(featurizer, X, y, cv=5, depths=[-2, -3], layers=[], epochs=5))


def pictures(data: Path, seeds: range) -> None:
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


_ROUNDS = 3


def epochs(data: Path, only: str) -> None:
    """Time epochs over 160 photographs and 160 texts, in turn with a tutorial's."""
    torch.set_num_threads(1)
    for layer in ("features.16", "features.13"):
        if only in layer:
            epochs_of_photographs(data, layer)
    if only in "texts":
        epochs_of_texts(data)


def epochs_of_photographs(data: Path, layer: str) -> None:
    """Time MobileNetV2's, beside a tutorial's in this process and in one of its own."""
    X, y = flowers(data, "train")
    X, y = X[::3][:160], np.unique(y[::3][:160], return_inverse=True)[1]
    featurizer = PretrainedImageFeaturizer(cache="memory").fit(X)
    backbone = featurizer.find_backbone()

    def prepared(chosen, backbone=backbone, X=X):
        return backbone.prepare(list(_decoded(X[i] for i in chosen)))

    above = int(layer.rpartition(".")[2]) + 1

    def network():
        made = backbone.build().eval().requires_grad_(False)
        made.classifier[1] = torch.nn.Linear(1280, 5)
        return made, [*made.features[above:].parameters(), *made.classifier[1].parameters()]

    best = times(
        f"MobileNetV2 from {layer}", featurizer, (X, y), layer, (backbone, prepared, network)
    )
    script = Path(__file__).with_name("finetuning_tutorial.py")
    done = subprocess.run([sys.executable, script, layer, *X], stdout=subprocess.PIPE, check=True)
    for kind, took in json.loads(done.stdout).items():
        print(f"{'':28} in a process of its own, {kind}: {took:6.2f} s ({took / best:.1f} ×)")


def epochs_of_texts(data: Path) -> None:
    """Time MiniLM's last two blocks."""
    lines = (data / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    X = [line.partition("\t")[2] for line in lines[:160]]
    y = np.array([line.startswith("spam") for line in lines[:160]], dtype=int)
    texts = PretrainedTextFeaturizer(truncation="cut").fit(X)
    encoder = texts.find_backbone()

    def tokens(chosen):
        return encoder.prepare([X[i] for i in chosen])

    def over_texts():
        made = Mean(encoder.build().eval().requires_grad_(False))
        return made, [*made.encoder.encoder.layer[4:].parameters(), *made.head.parameters()]

    times("MiniLM's last two blocks", texts, (X, y), "hidden_4", (encoder, tokens, over_texts))


class Mean(torch.nn.Module):
    """An encoder, the mean of its tokens, and a head, as tutorials have it."""

    def __init__(self, encoder) -> None:
        super().__init__()
        self.encoder, self.head = encoder, torch.nn.Linear(384, 5)

    def forward(self, batch):
        """Return scores."""
        states = self.encoder(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states)
        return self.head((states * mask).sum(1) / mask.sum(1))


def times(name: str, featurizer, rows, layer: str, theirs) -> float:
    """Print the least seconds of an epoch of each kind, of some rounds in turn; return ours."""
    backbone, prepared, made = theirs
    samples = prepared(range(len(rows[1])))

    def at_hand(chosen):
        return [samples[i] for i in chosen]

    network, learning = made()
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(learning, lr=1e-4)
    tuned = FineTunedClassifier(
        featurizer, train_from=layer, epochs=2, validation_fraction=0, random_state=0
    )
    ours, whole, read = [], [], []
    for _ in range(_ROUNDS):
        history = tuned.fit(*rows).history_[1:]
        ours.append(min(record["seconds"] for record in history))
        whole.append(tutorial(backbone, at_hand, rows[1], network, optimizer))
        read.append(tutorial(backbone, prepared, rows[1], network, optimizer))
    best = min(ours)
    print(
        f"{name:28} cached {best:6.2f} s",
        *(
            f"{kind} {min(took):6.2f} s ({min(took) / best:.1f} ×)"
            for kind, took in [("whole", whole), ("whole, inputs read", read)]
        ),
        sep="  ",
        flush=True,
    )
    return best


def tutorial(backbone, prepared, y, network, optimizer) -> float:
    """Time an epoch through the whole network, over inputs as ``prepared`` gives them."""
    order = np.random.RandomState(0).permutation(len(y))
    started = time.perf_counter()
    for start in range(0, len(order), 16):
        chosen = order[start : start + 16]
        batch = backbone.collate(prepared(chosen), "cpu", torch.float32)
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(batch), torch.from_numpy(y[chosen]))
        loss.backward()
        optimizer.step()
    return time.perf_counter() - started


def _decoded(X):
    from PIL import Image

    for path in X:
        with Image.open(path) as image:
            yield np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("what", nargs="+", choices=["flowers", "topics", "spam", "epochs"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="a layer, or texts, for epochs")
    parser.add_argument("--rows", type=int, default=400, help="messages for spam")
    arguments = parser.parse_args()
    runs = {
        "flowers": lambda: pictures(arguments.data, range(arguments.seeds)),
        "topics": lambda: topics(arguments.data, arguments.seeds),
        "spam": lambda: spam(arguments.data, arguments.rows),
        "epochs": lambda: epochs(arguments.data, arguments.only),
    }
    for one in arguments.what:
        runs[one]()
