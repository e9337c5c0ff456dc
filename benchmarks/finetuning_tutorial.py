"""An epoch as PyTorch's tutorial on transfer learning runs it: torch and torchvision alone.

    python benchmarks/finetuning_tutorial.py features.16 PHOTOGRAPH…   # prints seconds as JSON

In a process of its own, since `sklearn_pretrained` changes how a process keeps memory, which makes
other networks in it faster too. Weights are random, and labels are made up.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models, transforms

_BATCH = 16
_CLASSES = 5
_READ = transforms.Compose(
    [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)


def read(paths: Sequence[str]) -> Tensor:
    """Decode, resize and normalise."""
    return torch.stack([_READ(Image.open(path).convert("RGB")) for path in paths])


def epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, given: Callable[[Tensor], Tensor], n: int
) -> float:
    """Train on each of ``n`` photographs once; return the seconds that this took."""
    y = torch.arange(n) % _CLASSES
    started = time.perf_counter()
    for chosen in torch.randperm(n).split(_BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(given(chosen)), y[chosen]).backward()
        optimizer.step()
    return time.perf_counter() - started


def main(layer: str, paths: Sequence[str]) -> None:
    """Time epochs over inputs that are at hand, or read each time, in both modes of batch norm."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = models.mobilenet_v2(weights=None).requires_grad_(requires_grad=False)
    network.classifier[1] = nn.Linear(network.last_channel, _CLASSES)
    above = int(layer.rpartition(".")[2]) + 1
    learning = [*network.features[above:].parameters(), *network.classifier.parameters()]
    for parameter in learning:
        parameter.requires_grad_(requires_grad=True)
    optimizer = torch.optim.AdamW(learning, lr=1e-4)
    X = read(paths)
    ways = {
        "at hand": (False, X.__getitem__),
        "read": (False, lambda chosen: read([paths[i] for i in chosen])),
        "read, batch norm trains": (True, lambda chosen: read([paths[i] for i in chosen])),
    }
    found = {}
    for name, (trains, given) in ways.items():
        network.train(trains)
        epoch(network, optimizer, given, 2 * _BATCH)
        found[name] = epoch(network, optimizer, given, len(paths))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
