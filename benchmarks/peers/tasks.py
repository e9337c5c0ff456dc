"""The tasks that contenders are timed on: a kind of input, a network, and how many items."""

from dataclasses import dataclass

IMAGE_NETWORKS = {
    "mobilenet_v2": (256, 64, 1),
    "resnet18": (256, 32, 1),
    "resnet50": (128, 32, 1.5),
    "vit_b_16": (64, 16, 2),
}
"""torchvision's name → items in a whole run and at least, and the share of a run's time."""

RESIZE = {"resnet18": 256, "mobilenet_v2": 256, "resnet50": 232, "vit_b_16": 256}
"""Shorter side before the crop of 224, as the weights that torchvision ships want it."""

TITLES = {
    "mobilenet_v2": "MobileNetV2",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "vit_b_16": "ViT-B/16",
    "minilm": "MiniLM",
    "bert": "BERT-base",
    "arrays": "arrays",
    "files": "JPEG files",
    "texts": "texts",
}


@dataclass(frozen=True)
class Task:
    """Rows of one network over one kind of input.

    ``count`` items in a whole run; halves of it, but not fewer than ``least``, where time is
    short. ``weight`` is its share of a run's time, relative to the others'.
    """

    name: str
    kind: str
    network: str
    count: int
    least: int
    weight: float

    def sizes(self, most: int | None) -> list[int]:
        """Return the numbers of items that it may be run with, the largest first."""
        sizes = [min(self.count, most or self.count)]
        while sizes[-1] // 2 >= self.least:
            sizes.append(sizes[-1] // 2)
        return sizes


def titled(task: dict) -> str:
    """Write a task of a run in words."""
    return f"{TITLES[task['network']]}, {task['count']:,} {TITLES[task['kind']]}"


# What takes longest comes last, since it can use the time that others leave.
TASKS = {
    task.name: task
    for task in [
        *(
            Task(f"{kind}-{name}", kind, name, *numbers)
            for name, numbers in IMAGE_NETWORKS.items()
            for kind in ("arrays", "files")
        ),
        Task("texts-minilm-300", "texts", "minilm", 300, 150, 1),
        Task("texts-bert-200", "texts", "bert", 200, 25, 2.5),
        Task("texts-minilm-3000", "texts", "minilm", 3000, 375, 4),
    ]
}
