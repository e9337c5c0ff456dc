"""Ctrl-C at random places of fit, transform and rearranging: afterwards everything is as it was.

    python -m tests.interrupts [trials] [seed]

Half of the interrupts come before a random line of the package, the others as signals after a
random time. After each, another thread and this one must get the right rows, soon, from the network
and the cache that were interrupted. The exit status counts the trials after which that was not so.
"""

from __future__ import annotations

import ast
import functools
import itertools
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

import sklearn_pretrained
from sklearn_pretrained import FeatureCache, ModuleFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.process._uninterrupted import NAME
from sklearn_pretrained.running import eager
from tests import text_zoo
from tests.conftest import relative_error

PACKAGE = str(Path(sklearn_pretrained.__file__).parent)
PATIENCE = 10.0
"""Seconds that whoever comes afterwards may take, besides what the same took undisturbed."""
IMAGES = np.random.default_rng(0).normal(size=(24, 3, 8, 8)).astype(np.float32)


def make_network() -> nn.Module:
    """Make a network whose batch norms are folded, with statistics that are not the first ones."""
    torch.manual_seed(0)
    parts = [
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 8, 3),
        nn.BatchNorm2d(8),
    ]
    network = nn.Sequential(*parts).eval()
    for part in network:
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.2, 1.2)
    return network


@dataclass
class Scene:
    """What is interrupted: a featurizer for a cache, its items, and the right rows."""

    name: str
    featurizer: Callable[[Any], Any]
    items: Any
    right: np.ndarray

    def work(self, cache: Any) -> np.ndarray:
        """Fit and transform."""
        return self.featurizer(cache).fit(self.items).transform(self.items)


@functools.cache
def scenes() -> list[Scene]:
    """Make the scenes: maps, with a file and without a cache, and texts, which are packed."""
    network = make_network()
    with torch.inference_mode():
        right = network(torch.from_numpy(IMAGES)).flatten(1).numpy()

    def images(cache: Any) -> Any:
        return ModuleFeaturizer(
            network, layer="output", pooling="flatten", cache=cache, device="cpu", batch_size=8
        )

    folder = text_zoo.make_folder(Path(tempfile.mkdtemp()) / "network", "BERT")

    def texts(cache: Any) -> Any:
        return PretrainedTextFeaturizer(
            str(folder), pooling="mean", layer=-1, cache=cache, device="cpu", batch_size=4
        )

    items = text_zoo.TEXTS
    alone = np.vstack([texts(None).fit(items).transform([item]) for item in items])
    return [
        Scene("maps", images, IMAGES, right),
        Scene("texts", texts, items, alone),
    ]


@functools.cache
def with_lines(file: str) -> frozenset[int]:
    """Return the lines of ``with`` statements, and of a ``try`` that such a block begins with.

    CPython delivers no signal there, where its lock would not be released, but a trace function can
    raise.
    """
    found = set()
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.With):
            first = node.body[0]
            found |= set(range(node.lineno, first.lineno + isinstance(first, ast.Try)))
    return frozenset(found)


class AtLine:
    """Raises before the n-th line of the package that this thread comes to, or who loads for it."""

    def __init__(self, n: float) -> None:
        self.n, self.seen, self.where = n, 0, ""

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._enter)
        threading.settrace(self._enter_loading)  # where the main thread's work is done for it
        return self

    def _enter_loading(self, *event: Any) -> Any:
        return self._enter(*event) if threading.current_thread().name.startswith(NAME) else None

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._before)
        threading.settrace(None)  # type: ignore[arg-type]

    def _enter(self, frame: Any, _event: str, _arg: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame: Any, event: str, _arg: Any) -> Any:
        code = frame.f_code
        if event == "line" and frame.f_lineno not in with_lines(code.co_filename):
            self.seen += 1
            if self.seen == self.n:
                self.where = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_qualname}"
                sys.settrace(None)
                raise KeyboardInterrupt
        return self._line


class AtTime:
    """Raises when a timer's signal arrives."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.where = seconds, ""

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGALRM, self._raise)
        signal.setitimer(signal.ITIMER_REAL, max(1e-6, self.seconds))
        return self

    def _raise(self, _number: int, frame: Any) -> None:
        if not self.where:
            code = frame.f_code
            self.where = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_qualname}"
            raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        self.where = self.where or "late"
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)


def interrupt(scene: Scene, at: Any, folder: Path, usual: float) -> str:
    """Interrupt a scene, and say what is wrong afterwards; nothing, or "late" where it was over.

    Parameters
    ----------
    scene : Scene
    at : AtLine or AtTime
    folder : Path
    usual : float
        Seconds that it takes undisturbed, on a machine that others use, too.
    """
    eager.unload()
    path = folder / f"{time.monotonic_ns()}.sqlite"
    cache = FeatureCache(path) if random.random() < 0.5 else None
    interrupted = False
    try:
        with at:
            scene.work(cache)
    except KeyboardInterrupt:
        interrupted = True
    except RuntimeError as error:  # of Python's own lock, interrupted while a thread is started
        if str(error) not in {"release unlocked lock", "cannot release un-acquired lock"}:
            raise
        interrupted = True
    if not interrupted:
        return "late"
    return _wrong_after(scene, cache, path, PATIENCE + 5 * usual)


def _wrong_after(scene: Scene, cache: Any, path: Path, patience: float) -> str:
    said: list[str] = []

    def check() -> None:
        try:
            said.append(_compare(scene, cache))
        except BaseException as error:  # what it is, the caller reports
            said.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=check, daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(patience)
    if not said:
        return "another thread hangs"
    try:
        said.append(_compare(scene, None))
        said.append(_compare(scene, cache))
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")
    if time.monotonic() - started > patience:
        said.append("slow")
    if path.exists():
        connection = sqlite3.connect(path)
        left = connection.execute("SELECT count(*) FROM claims").fetchone()[0]
        connection.close()
        said.append(f"{left} claims are left" if left else "")
    return "; ".join(filter(None, said))


def _compare(scene: Scene, cache: Any) -> str:
    far = relative_error(scene.work(cache), scene.right)
    return "" if far < 1e-5 else f"rows are off by {far:.1e}"


def run(trials: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Interrupt so often; return how often each scene was, and what was wrong."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    random.seed(seed)
    done: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lines, seconds = {}, {}
        for scene in scenes():
            for _ in range(2):  # what is loaded once in a process is loaded by the first
                eager.unload()
                started = time.perf_counter()
                scene.work(FeatureCache(Path(folder) / f"{time.monotonic_ns()}.sqlite"))
                seconds[scene.name] = time.perf_counter() - started
            eager.unload()
            with AtLine(float("inf")) as counting:
                scene.work(FeatureCache(Path(folder) / f"{time.monotonic_ns()}.sqlite"))
            lines[scene.name] = counting.seen
        for number in itertools.count():
            if sum(done.values()) >= trials:
                return done, wrong
            scene = random.choice(scenes())
            is_line = number % 2 == 0
            at = (
                AtLine(random.randint(1, lines[scene.name]))
                if is_line
                else AtTime(random.uniform(0, seconds[scene.name]))
            )
            said = interrupt(scene, at, Path(folder), seconds[scene.name])
            if said == "late":
                continue
            done[f"{scene.name}, by {'line' if is_line else 'signal'}"] += 1
            if said:
                wrong.append(f"{scene.name}, interrupted at {at.where}: {said}")
                print(wrong[-1], flush=True)
            if "hangs" in said:
                return done, wrong
    raise AssertionError


def main(trials: int = 500, seed: int = 0) -> int:
    """Print what was done, and what was wrong."""
    started = time.perf_counter()
    done, wrong = run(trials, seed)
    for name, n in sorted(done.items()):
        print(f"{name:24} {n:4}")
    seconds = time.perf_counter() - started
    print(f"{sum(done.values())} interrupts, {len(wrong)} wrong ({seconds:.0f} s)")
    return len(wrong)


if __name__ == "__main__":
    status = main(*map(int, sys.argv[1:]))
    sys.stdout.flush()
    os._exit(min(status, 100))  # a thread that hangs would be waited for
