"""Networks of every source as ONNX: rows through onnxruntime beside the library's.

    python -m tests.onnx_zoo                          # all: torchvision, timm's families, texts
    python -m tests.onnx_zoo torchvision resnet18     # of one source, these
    python -m tests.onnx_zoo --here timm/test_vit     # this one, in this process

Random weights, prepared inputs, batches of one and of two: rows may differ by 1e-4 of their norm.
Each network has a process of its own, with limited memory and time.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer, export_onnx
from sklearn_pretrained.exported import load
from tests import text_zoo, timm_zoo, zoo

TOLERANCE = 1e-4
MEMORY = int(float(os.environ.get("ZOO_GB", "8")) * 2**30)
SECONDS = 600

EXCEPTIONS: dict[str, str] = {
    "Longformer": "its forward decides by the values of the mask, so that it is no single graph",
    "Mamba": "its scan is unrolled, so that its graph would hold for one length of text only",
}
"""Networks that do not go through, and why."""


def _texts() -> list[str]:
    return list(text_zoo.FAMILIES)


SOURCES = {
    "torchvision": zoo.names,
    "timm": lambda: [f"timm/{timm_zoo.smallest(family)}" for family in timm_zoo.families()],
    "texts": _texts,
}


def featurizer(name: str, folder: Path) -> tuple[Any, Any]:
    """Make an estimator with random weights, and items for it."""
    torch.manual_seed(0)
    if name in text_zoo.FAMILIES:
        return PretrainedTextFeaturizer(
            str(text_zoo.make_folder(folder / "network", name)), pooling="mean", cache=None
        ), text_zoo.TEXTS
    size = timm_zoo.smaller_size(name[5:]) if name.startswith("timm/") else None
    return (
        PretrainedImageFeaturizer(name, weights=None, image_size=size, cache=None, device="cpu"),
        timm_zoo.pictures(),
    )


def distance(name: str) -> float:
    """Export one network; return how far a row moves, in parts of its norm."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator, items = featurizer(name, Path(folder))
        try:
            estimator.fit(items)
        except ValueError:  # it only takes the size that it was made for
            estimator.set_params(image_size=None).fit(items)
        path = Path(folder, "network.onnx")
        facts = export_onnx(estimator, path, examples=items, tolerance=np.inf)
        if not np.linalg.norm(estimator.transform(items), axis=1).all():
            raise ValueError("its rows are zero, so that nothing is compared")
        del estimator
        load(path, threads=1)
        return max(entry["largest"] for entry in facts["report"] if entry["step"] == "network")


def report(name: str) -> bool:
    """Print one line."""
    started = time.perf_counter()
    try:
        far = distance(name)
        said, fine = f"{far:.1e}", far <= TOLERANCE
    except Exception as error:
        said, fine = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}", False
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    took = time.perf_counter() - started
    verdict = "equal" if fine else "DIFFERS"
    print(f"{name:38} {verdict:8} {said}  ({took:.0f} s, {most:.1f} GB)", flush=True)
    return fine


def alone(name: str) -> bool:
    """Compare a network in a process with limited memory and time."""
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        signal.alarm(SECONDS)
        fine = False
        try:
            fine = report(name)
        finally:
            os._exit(not fine)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        print(f"{name:38} ended by {signal.Signals(os.WTERMSIG(status)).name}", flush=True)
    if status != 0:
        print(f"{'':38} {EXCEPTIONS.get(name, 'no reason is known')}", flush=True)
    return status == 0


def main(arguments: list[str]) -> int:
    """Print the table; the exit status counts those that differ for no known reason."""
    if arguments[:1] == ["--here"]:
        return sum(not report(name) for name in arguments[1:])
    sources = arguments[:1] or list(SOURCES)
    names = arguments[1:] or [name for source in sources for name in SOURCES[source]()]
    wrong = [name for name in names if not alone(name)]
    print(f"{len(names) - len(wrong)} of {len(names)}")
    return sum(name not in EXCEPTIONS for name in wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
