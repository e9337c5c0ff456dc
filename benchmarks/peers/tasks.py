"""The tasks that contenders are timed on: a kind of input, a network, and how many items."""

from dataclasses import dataclass

IMAGE_NETWORKS = {"resnet18": 256, "mobilenet_v2": 256, "resnet50": 96, "vit_b_16": 64}
"""torchvision's name → items in a whole run."""

RESIZE = {"resnet18": 256, "mobilenet_v2": 256, "resnet50": 232, "vit_b_16": 256}
"""Shorter side before the crop of 224, as the weights that torchvision ships want it."""


@dataclass(frozen=True)
class Task:
    """Rows of one network over one kind of input."""

    name: str
    kind: str
    network: str
    count: int


TASKS = {
    task.name: task
    for task in [
        *(Task(f"arrays-{name}", "arrays", name, n) for name, n in IMAGE_NETWORKS.items()),
        *(Task(f"files-{name}", "files", name, n) for name, n in IMAGE_NETWORKS.items()),
        Task("texts-minilm-500", "texts", "minilm", 500),
        Task("texts-minilm-3000", "texts", "minilm", 3000),
        Task("texts-bert-200", "texts", "bert", 200),
    ]
}
