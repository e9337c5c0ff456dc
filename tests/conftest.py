"""Small parts that many tests share: tiny networks and real pictures; nothing is downloaded."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import nn

from sklearn_pretrained import _command, release
from sklearn_pretrained.running import _engine

os.environ["SKLEARN_PRETRAINED_GRAPHS"] = "0"  # nothing of a test stays in the user's folders


def pytest_collection_finish() -> None:
    """Leave what imports made out of collections, which would each go through a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Scikit-learn's two sample pictures, a palace and a flower."""
    return list(load_sample_images().images)


@pytest.fixture(scope="session")
def patches(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Give 24 different squares cut from the sample pictures."""
    return [
        np.ascontiguousarray(picture[top : top + 200, left : left + 200])
        for picture in pictures
        for top in (0, 100, 200)
        for left in (0, 120, 240, 360)
    ]


@pytest.fixture(autouse=True, scope="module")
def _released() -> Iterator[None]:
    """Leave nothing of one file's networks and rows in memory for the next."""
    yield
    release()


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Give the command line of this process: words → exit status, standard output and error."""

    def run(*words: object, columns: int | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sklearn_pretrained", *map(str, words)])
        monkeypatch.delenv("COLUMNS", raising=False)
        if columns is not None:
            monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as left, warnings.catch_warnings():
            _command.main()
        if isinstance(left.value.code, str):  # Python prints it, and exits with 1
            return 1, *capsys.readouterr()[:1], left.value.code
        return left.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the number of rows of every forward."""
    sizes: list[int] = []
    whole = _engine.forward

    def counting(runner, reading, samples):
        sizes.append(len(samples))
        return whole(runner, reading, samples)

    monkeypatch.setattr(_engine, "forward", counting)
    return sizes


class TinyConvNet(nn.Module):
    """Three stages, batch norm, in-place activations and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.body = nn.Sequential(
            nn.Conv2d(8, 12, 3, 2), nn.ReLU(inplace=True), nn.Conv2d(12, 16, 3), nn.ReLU()
        )
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all stages."""
        return self.head(self.body(self.stem(x)).mean((2, 3)))


def make_convnet() -> nn.Module:
    """Make the tiny network, with batch statistics that are not the initial ones."""
    network = TinyConvNet()
    nn.init.uniform_(network.stem[1].running_mean, -1, 1)
    nn.init.uniform_(network.stem[1].running_var, 0.5, 2)
    return network


def make_mlp() -> nn.Module:
    """Make a network over 8 numbers, with dropout, which must stay silent."""
    return nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
    )


def to_tensor(image: object) -> torch.Tensor:
    """Prepare an image for `TinyConvNet`."""
    small = image.resize((32, 32))  # type: ignore[attr-defined]
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest distance between two rows, relative to the norm of the expected one."""
    distance = np.linalg.norm(np.asarray(got) - np.asarray(expected), axis=1)
    return float((distance / np.maximum(np.linalg.norm(expected, axis=1), 1e-12)).max())
