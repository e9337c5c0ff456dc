"""Networks of every source as ONNX: rows through onnxruntime beside the library's.

    python -m tests.onnx_zoo                          # all that have no result yet
    python -m tests.onnx_zoo timm                     # of one source
    python -m tests.onnx_zoo torchvision resnet18     # these, again
    python -m tests.onnx_zoo --here timm timm/test_vit  # in this process; no result is kept
    python -m tests.onnx_zoo --page                   # only writes the results to the page

Prepared inputs, batches of one and of several: rows may differ by 1e-4 of their norm. Texts that
are longer than all examples go through the file too. Weights are random, and set apart where two
items would get the same row. Each network has a process of its own, with limited memory (ZOO_GB)
and time, and one line of the results, so that a run that was stopped continues.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import get_model_builder, get_model_weights

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    export_onnx,
)
from sklearn_pretrained.exported import load
from tests import onnx_page, text_zoo, timm_zoo, tower_zoo, vision_zoo, zoo
from tests.onnx_page import EXCEPTIONS, TOLERANCE

GIGABYTES = float(os.environ.get("ZOO_GB", "8"))
SECONDS = 900
_SIDE = 96
_LONGER = [" ".join(text_zoo.WORDS[(i + k) % 9] for k in range(n)) for i, n in enumerate((23, 44))]


def _text(make: Callable[[Path, str], Path], **options: Any) -> Callable[..., tuple[Any, Any, Any]]:
    def made(name: str, folder: Path, size: int | None, _gain: float) -> tuple[Any, Any, Any]:
        place = make(folder / "network", name)
        more = _LONGER if name in text_zoo.FAMILIES else _LONGER[:1]
        longer = [text[:50] for text in more] if name in tower_zoo.FAMILIES else more
        return PretrainedTextFeaturizer(str(place), cache=None, **options), text_zoo.TEXTS, longer

    return made


def _named(name: str, folder: Path, size: int | None, gain: float) -> tuple[Any, Any, Any]:
    if name.startswith("timm/"):
        size = size and timm_zoo.smaller_size(name[5:])
    options: dict[str, Any] = {"image_size": size, "cache": None, "device": "cpu"}
    estimator = PretrainedImageFeaturizer(name, weights=None, **options)
    items = timm_zoo.pictures()
    if gain:
        network = estimator.fit(items).find_backbone().build()
        vision_zoo.spread(network, gain)
        weights = folder / "spread.safetensors"
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, weights)
        estimator = PretrainedImageFeaturizer(name, weights=str(weights), **options)
    return estimator, items, None


def _vision(name: str, folder: Path, size: int | None, gain: float) -> tuple[Any, Any, Any]:
    place = vision_zoo.make_folder(folder / "network", name, gain or 1.0)
    both = {"CLIP", "SigLIP", "BLIP", "BLIP retrieval"}
    layer = "projection" if name in both else "penultimate"
    estimator = PretrainedImageFeaturizer(str(place), layer=layer, cache=None, device="cpu")
    return estimator, vision_zoo.images(), None


def _of_timm() -> Iterator[str]:
    done = {one["family"] for one in onnx_page.results().values() if one["source"] == "timm"}
    for family in timm_zoo.families():
        if family not in done:
            yield f"timm/{timm_zoo.smallest(family)}"


class Source(NamedTuple):
    """Where networks come from: their names, each one's family, and an estimator and items."""

    package: str
    names: Callable[[], Iterable[str]]
    family: Callable[[str], str]
    make: Callable[..., tuple[Any, Any, Any]]


SOURCES = {
    "texts": Source(
        "transformers", lambda: text_zoo.FAMILIES, str, _text(text_zoo.make_folder, pooling="mean")
    ),
    "text towers": Source(
        "transformers",
        lambda: tower_zoo.FAMILIES,
        str,
        _text(tower_zoo.make_folder, layer="projection"),
    ),
    "images of transformers": Source("transformers", lambda: vision_zoo.FAMILIES, str, _vision),
    "timm": Source("timm", _of_timm, lambda name: _module(timm.model_entrypoint(name[5:])), _named),
    "torchvision": Source(
        "torchvision",
        lambda: sorted(zoo.names(), key=_operations),
        lambda name: _module(get_model_builder(name)),
        _named,
    ),
}


def _operations(name: str) -> float:
    return float(get_model_weights(name).DEFAULT.meta["_ops"])


def _module(builder: Any) -> str:
    return str(builder.__module__.rpartition(".")[2])


def distance(source: str, name: str) -> float:
    """Export one network; return how far a row moves, in parts of its norm."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator, items, further = _distinct(source, name, Path(folder))
        path = Path(folder, "network.onnx")
        facts = export_onnx(estimator, path, examples=items, tolerance=np.inf)
        far = max(entry["largest"] for entry in facts["report"] if entry["step"] == "network")
        if further is not None:
            expected = estimator.transform(further)
            gap = load(path, threads=1).transform(further) - expected
            ratio = np.linalg.norm(gap, axis=1) / np.linalg.norm(expected, axis=1)
            far = max(far, float(ratio.max()))
        return far


_GAINS = (0.0, 1.0, 1.8)


def _distinct(source: str, name: str, folder: Path) -> tuple[Any, Any, Any]:
    """Fit a network with the first weights that give two items different rows.

    An untrained network forgets what it sees on its way; weights further apart carry it on.
    """
    make = SOURCES[source].make
    for gain in _GAINS:
        torch.manual_seed(0)
        place = folder / str(gain)
        place.mkdir()
        made = make(name, place, _SIDE, gain)
        try:
            made[0].fit(made[1])
        except ValueError:  # it only takes the size that it was made for
            made = make(name, place, None, gain)
            made[0].fit(made[1])
        rows = made[0].transform(made[1])
        norms = np.linalg.norm(rows, axis=1)
        if norms.all() and np.linalg.norm(rows[0] - rows[1]) >= TOLERANCE * norms[0]:
            return made
    raise ValueError("two items have the same row, so that nothing is compared")


def result(source: str, name: str) -> dict[str, Any]:
    """Compare one network; say what was found."""
    found: dict[str, Any] = _about(source, name)
    try:
        found["largest"] = float(f"{distance(source, name):.1e}")
    except MemoryError:
        found["memory"] = GIGABYTES
    except Exception as error:
        said = next(filter(None, map(str.strip, str(error).splitlines())), "")
        if "alloc" in said or "serialize" in said:  # protobuf says no more
            found["memory"] = GIGABYTES
        else:
            found["error"] = f"{type(error).__name__}: {said[:300]}"
    found["seconds"] = round(time.process_time())
    found["gigabytes"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
    packages = ("torch", "onnxruntime", SOURCES[source].package)
    found["with"] = ", ".join(f"{package} {version(package)}" for package in packages)
    found["date"] = time.strftime("%Y-%m-%d")
    return found


def report(found: dict[str, Any]) -> bool:
    """Print one line."""
    far = found.get("largest", np.inf)
    verdict = "equal" if far <= TOLERANCE else "DIFFERS"
    said = found.get("error") or ("out of memory" if "memory" in found else f"{far:.1e}")
    costs = f"({found.get('seconds', 0)} s, {found.get('gigabytes', 0):.1f} GB)"
    print(f"{found['network']:38} {verdict:8} {said}  {costs}", flush=True)
    return far <= TOLERANCE


def _about(source: str, name: str) -> dict[str, Any]:
    return {"source": source, "network": name, "family": SOURCES[source].family(name)}


def alone(source: str, name: str) -> bool:
    """Compare a network in a process with limited memory and time; keep the result."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(reading)
            torch.set_num_threads(1)
            most = int(GIGABYTES * 2**30)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of this process, not of the clock
            os.write(writing, json.dumps(result(source, name)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    found = _about(source, name)
    if said:
        found = json.loads(said)
    elif os.WIFSIGNALED(status):
        found["error"] = f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    else:
        found["error"] = "ended without a result"
    onnx_page.keep(found)
    return report(found)


def main(arguments: list[str]) -> int:
    """Print results and write the page; the exit status counts those with no known reason."""
    if arguments[:1] == ["--here"]:
        source, *names = arguments[1:]
        return sum(not report(result(source, name)) for name in names)
    wrong = []
    if arguments != ["--page"]:
        warm_up()
        for source in arguments[:1] or SOURCES:
            again = arguments[1:]
            for name in again or SOURCES[source].names():
                if again or name not in onnx_page.known(source):
                    fine = alone(source, name) or name in EXCEPTIONS
                    wrong += [] if fine else [name]
    onnx_page.write()
    return len(wrong)


def warm_up() -> None:
    """Import here what every network's process would import for itself."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = np.ones((2, 3), np.float32)
        tiny = ModuleFeaturizer(torch.nn.Linear(3, 2), cache=None, device="cpu").fit(rows)
        export_onnx(tiny, Path(folder, "tiny.onnx"), examples=rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
