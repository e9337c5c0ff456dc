"""What can go wrong around a featurizer, for real: fault, what is expected, what was observed.

    python -m tests.faults              # the table; the exit status is 1 where a row is not green
    python -m tests.faults fork         # those whose name holds a word

Kills are kills, full disks are full, and bytes are flipped in files. Pytest runs the same list.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sklearn_pretrained import (
    FeatureCache,
    ModuleFeaturizer,
    ModuleHandle,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    memory_cache,
)
from sklearn_pretrained.exceptions import (
    BadItemError,
    BadItemWarning,
    CacheWarning,
    WeightsError,
)
from sklearn_pretrained.running import _engine, eager

ROOT = Path(__file__).parent.parent
X = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Parameters
    ----------
    name, expected : str
    make : callable
        Takes an empty folder, does the damage, checks what came of it, and says so.
    """

    name: str
    expected: str
    make: Callable[[Path], str]


FAULTS: list[Fault] = []


def fault(name: str, expected: str) -> Callable[[Callable[[Path], str]], Callable[[Path], str]]:
    """Put a function into the list."""

    def add(make: Callable[[Path], str]) -> Callable[[Path], str]:
        FAULTS.append(Fault(name, expected, make))
        return make

    return add


# -- networks, and processes to break them in


def plain() -> nn.Module:
    """Make a small network."""
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def broad() -> nn.Module:
    """Make a network whose rows take most of a cache's file."""
    return nn.Sequential(nn.Linear(8, 512), nn.ReLU(), nn.Linear(512, 2))


def wide() -> nn.Module:
    """Make a network whose rows fill a disk."""
    return nn.Sequential(nn.Linear(8, 4096), nn.ReLU(), nn.Linear(4096, 2))


class Plain(nn.Sequential):
    """A network whose code says all of it, so that its rows may lie in files."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def disturb() -> None:
    """Make each batch slow, and say when it begins; or kill the process once rows are stored."""
    whole, n = _engine.forward, itertools.count(1)

    def forward(*given: Any) -> Any:
        if os.environ.get("SLOW"):
            print("forward", flush=True)
            time.sleep(0.05)
        flag = os.environ.get("FATAL")
        if next(n) > 4 and flag and Path(flag).exists():
            with contextlib.suppress(FileNotFoundError):
                Path(flag).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return whole(*given)

    _engine.forward = forward


if {"SLOW", "FATAL"} & set(os.environ):  # in the processes that are started below
    disturb()


class Hungry(nn.Sequential):
    """Takes 64 MB for each row, or runs out of memory as it is told."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(8, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Allocate, and touch what was allocated."""
        if not x.is_meta and os.environ.get("HUNGRY"):
            torch.zeros(len(x), 1 << 24)
        raised = {"python": MemoryError, "torch": torch.OutOfMemoryError}
        if not x.is_meta and len(x) > 3 and os.environ.get("RAISES") in raised:
            raise raised[os.environ["RAISES"]]("no more")
        return super().forward(x)


class Exploding(nn.Module):
    """Gives infinity for some rows."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Divide by zero where the first number is negative."""
        return self.head(self.inner(x) / (x[:, :1] > 0))


def featurizer(model: Any = plain, **parameters: Any) -> ModuleFeaturizer:
    """Make a featurizer on the CPU without a cache."""
    return ModuleFeaturizer(model, **{"cache": None, "device": "cpu", **parameters})


def right(model: Any = plain, **parameters: Any) -> np.ndarray:
    """Compute the right rows, with nothing in the way."""
    return featurizer(model, **parameters).fit(X).transform(X)


def equal(rows: np.ndarray, expected: np.ndarray) -> None:
    """Check rows within the stated tolerance."""
    error = np.linalg.norm(rows - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() <= 1e-5, f"rows differ by {error.max():.1e}"


def raised(kind: type[Exception], doing: Callable, *arguments: Any) -> str:
    """Return what an error says that must come."""
    try:
        doing(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__} came")


def start(role: str, folder: Path, **environment: str) -> subprocess.Popen:
    """Run one of this module's functions in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from tests import faults; faults.{role}({str(folder)!r})"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen, limit: float = 120) -> Any:
    """Wait for a process, and read the last line that it printed."""
    try:
        out, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise AssertionError("it hangs") from None
    finally:
        process.kill()
    assert process.returncode == 0, f"exit status {process.returncode}"
    return json.loads(out.strip().rpartition("\n")[2])


@contextlib.contextmanager
def set_in_environment(**values: str) -> Iterator[None]:
    """Set variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


# -- interruptions


def interrupted(folder: str) -> None:
    """Be interrupted in the middle of a transform, and go on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells switch it off in background
    cache: Any = memory_cache() if folder == "memory" else FeatureCache(Path(folder) / "rows")
    ours = featurizer(Plain, cache=cache, batch_size=10).fit(X)
    try:
        ours.transform(X)
        raise SystemExit("nobody interrupted")
    except KeyboardInterrupt:
        kept = cache.stats()["rows"]
    os.environ["SLOW"] = ""
    rows = ours.transform(X)
    equal(rows, right(Plain))
    print(json.dumps({"kept": kept, "forwards": cache.stats()["forwards"]}))


def _interrupt(folder: Path | str) -> str:
    process = start("interrupted", folder, SLOW="1")
    for _ in range(12):  # the first ones try the network
        assert process.stdout.readline().startswith("forward")
    process.send_signal(signal.SIGINT)
    found = answer(process)
    assert 50 <= found["kept"] < 400, found
    assert found["forwards"] == 400, found
    return f"{found['kept']} of 400 rows kept, the rest computed by the next call"


@fault("Ctrl-C in transform, memory cache", "computed rows are kept, the featurizer goes on")
def ctrl_c_memory(_folder: Path) -> str:
    """Send a real SIGINT."""
    return _interrupt("memory")


@fault("Ctrl-C in transform, disk cache", "computed rows are kept, the featurizer goes on")
def ctrl_c_disk(folder: Path) -> str:
    """Send a real SIGINT."""
    return _interrupt(folder)


@fault("worker killed in a search", "TerminatedWorkerError; the rerun computes what is missing")
def worker_killed(folder: Path) -> str:
    """Send SIGKILL to a loky worker from inside."""
    return answer(start("searching", folder, FATAL=str(folder / "flag")))


def searching(folder: str) -> None:
    """Run a search of which a worker dies, and run it again."""
    y = (X[:, 0] > 0).astype(int)
    cache = FeatureCache(Path(folder) / "rows")
    Path(os.environ["FATAL"]).touch()

    def search(cache: Any, n_jobs: int | None = 2) -> GridSearchCV:
        pipeline = make_pipeline(
            featurizer(Plain, cache=cache, batch_size=10), LogisticRegression()
        )
        grid = {"logisticregression__C": [0.1, 1.0]}
        return GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise")

    raised(TerminatedWorkerError, search(cache).fit, X, y)
    kept, before = (cache.stats()[name] for name in ("rows", "forwards"))
    again = search(cache).fit(X, y)
    plain = search(None, None).fit(X, y)
    scores = [s.cv_results_["mean_test_score"] for s in (again, plain)]
    np.testing.assert_allclose(*scores)
    after = cache.stats()["forwards"] - before
    assert cache.stats()["rows"] == 400
    assert kept > 0
    assert after == 400 - kept, (kept, after)
    print(json.dumps(f"{kept} rows kept, {after} computed by the rerun, scores equal"))


# -- disks and files


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 4 MiB, where that is allowed."""
    place = folder / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", place]
    done = mount and subprocess.run([mount, *options], capture_output=True, check=False)
    if not done or done.returncode:
        raise PermissionError
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def filling(folder: str) -> None:
    """Fill a disk, or what this process may write of one."""
    cache = FeatureCache(Path(folder) / "rows")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        rows = featurizer(wide, cache=cache, batch_size=10, keep_layers=None).fit(X).transform(X)
    equal(rows, right(wide))
    assert any(w.category is CacheWarning and "written" in str(w.message) for w in told), told
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        again = featurizer(wide, cache=cache, batch_size=10, keep_layers=None).fit(X)
        equal(again.transform(X), rows)
    kept = again.counts_.known
    assert 0 < kept < 400, (kept, cache.stats(), [str(w.message) for w in told])
    print(json.dumps(f"a CacheWarning, all rows right, {kept} of 400 kept"))


def limited(folder: str) -> None:
    """Fill what a quota allows."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
    filling(folder)


@fault("disk full", "a CacheWarning, all rows right")
def disk_full(folder: Path) -> str:
    """Fill a real file system of 4 MiB; without the right to mount one, a quota."""
    try:
        with small_disk(folder) as place:
            return answer(start("filling", place))
    except PermissionError:
        return answer(start("limited", folder)) + " (by a quota)"


@fault("bytes flipped in the cache", "no wrong row; damaged ones are computed anew")
def cache_corrupted(folder: Path) -> str:
    """Flip bytes all over the file."""
    expected, dice = right(broad), random.Random(0)
    path = folder / "rows"
    lost = 0
    for _ in range(5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            ours = featurizer(broad, cache=FeatureCache(path), keep_layers=None).fit(X)
            equal(ours.transform(X), expected)
            data = bytearray(path.read_bytes())
            for place in dice.sample(range(len(data)), 20):
                data[place] ^= 1 << dice.randrange(8)
            # By a file of another number, as a copy or a restored backup is.
            (folder / "flipped").write_bytes(data)
            (folder / "flipped").replace(path)
            computed = ours.counts_.computed
            equal(ours.transform(X), expected)
            lost += ours.counts_.computed - computed
    assert lost > 0
    return f"5 × 20 bits: 0 wrong rows, {lost} of 2000 computed anew"


@fault("weights file cut short", "WeightsError that names the file")
def weights_cut(folder: Path) -> str:
    """Cut files of both formats, before and after fit."""
    from safetensors.torch import save_file

    said = []
    for suffix in (".safetensors", ".pth"):
        path = folder / f"weights{suffix}"
        state = plain().state_dict()
        save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
        fitted = featurizer(weights=path).fit(X)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        for doing in (
            lambda fitted=fitted: fitted.transform(X),
            lambda path=path: featurizer(weights=path).fit(X).transform(X),
        ):
            eager.unload()
            said.append(raised(WeightsError, doing))
            assert str(path) in said[-1], said
    return f"WeightsError 4 times, such as {said[0][:60]!r}"


# -- networks out of reach


def unreachable(folder: str) -> None:
    """Ask for networks that are not on this machine."""
    os.environ |= {"TORCH_HOME": folder, "HF_HOME": folder}
    said = []
    for ours, item in (
        (PretrainedImageFeaturizer("resnet18"), np.zeros((9, 9), np.uint8)),
        (PretrainedTextFeaturizer("google-bert/bert-base-uncased"), "a"),
    ):
        began = time.monotonic()
        said.append(raised(WeightsError, ours.fit, [item]))
        assert time.monotonic() - began < 60
        assert folder in said[-1] or "bert-base-uncased" in said[-1], said
    assert not [path for path in Path(folder).rglob("*.pth*") if path.is_file()]
    print(json.dumps(f"WeightsError twice: {said[0][:40]!r}, {said[1][:40]!r}"))


_NOWHERE = "http://127.0.0.1:9"


@fault("hub switched off", "WeightsError that says where it looked")
def hub_offline(folder: Path) -> str:
    """Forbid the network by the hub's own variable."""
    return answer(start("unreachable", folder, HF_HUB_OFFLINE="1"))


@fault("hub down", "WeightsError that says where it looked, soon")
def hub_down(folder: Path) -> str:
    """Let every address be one at which nobody listens."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), _NOWHERE)
    process = start("unreachable", folder, HF_HUB_OFFLINE="0", HF_ENDPOINT=_NOWHERE, **proxies)
    return answer(process, 150)


# -- memory


def starving(_folder: str) -> None:
    """Run with little more memory than there is already."""
    ours = featurizer(Hungry).fit(X[:64])
    expected = ours.transform(X[:64])
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (700 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    os.environ["HUNGRY"] = "1"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        rows = ours.transform(X[:64])
    equal(rows, expected)
    assert sum("smaller batches" in str(w.message) for w in told) == 1, told
    print(json.dumps("one warning, smaller batches, all rows right"))


@fault("memory runs out (a real limit)", "smaller batches, one warning, all rows right")
def memory_limit(folder: Path) -> str:
    """Limit the address space of a process."""
    return answer(start("starving", folder))


@fault("memory runs out (MemoryError, OutOfMemoryError)", "smaller batches, all rows right")
def memory_raised(_folder: Path) -> str:
    """Raise what Python and torch raise."""
    expected = right(Hungry)
    for kind in ("python", "torch"):
        eager.unload()
        with set_in_environment(RAISES=kind), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            equal(featurizer(Hungry).fit(X).transform(X), expected)
        assert sum("smaller batches" in str(w.message) for w in told) == 1
    return "one warning each, all rows right"


# -- threads and processes


@fault("two threads, one network, other layers", "each gets its own rows")
def threads(_folder: Path) -> str:
    """Read layers of one network at the same time."""
    network = ModuleHandle(plain())
    layers = ("0", "1", "2")
    ours = [featurizer(network, layer=layer, batch_size=40).fit(X) for layer in layers]
    expected = [one.transform(X) for one in ours]
    wrong: list[int] = []

    def read(k: int) -> None:
        for _ in range(10):
            rows = ours[k].transform(X)
            if rows.shape != expected[k].shape or not np.allclose(rows, expected[k], atol=1e-5):
                wrong.append(k)

    running = [threading.Thread(target=read, args=(i % 3,)) for i in range(6)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert wrong == []
    return "60 transforms by 6 threads, 0 wrong"


def forking(_folder: str) -> None:
    """Fork once torch has threads, while another thread computes."""
    torch.set_num_threads(2)
    big = nn.Sequential(nn.Linear(8, 1024), nn.ReLU(), nn.Linear(1024, 1024))
    ours = featurizer(ModuleHandle(big), layer="output", cache="memory").fit(X)
    expected = ours.transform(X)
    more = X + 1
    right_more = featurizer(ModuleHandle(big), layer="output").fit(X).transform(more)
    ends = False

    def busy() -> None:
        k = 0
        while not ends:
            k += 1
            ours.transform(X + 100 * k)

    thread = threading.Thread(target=busy)
    thread.start()
    context = multiprocessing.get_context("fork")
    done = 0
    for _ in range(5):
        receiver, sender = context.Pipe(duplex=False)

        def child(sender: Any = sender) -> None:
            sender.send((ours.transform(X), ours.transform(more)))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of any fork
            process = context.Process(target=child)
            process.start()
        hangs = not receiver.poll(40)
        rows = None if hangs else receiver.recv()
        process.kill() if hangs else process.join()
        if hangs:
            break
        equal(rows[0], expected)
        equal(rows[1], right_more)
        done += 1
    ends = True
    thread.join()
    print(json.dumps(done))


@fault("fork after torch's threads, one of them busy", "the child computes too, no hang")
def fork(folder: Path) -> str:
    """Fork with multiprocessing's own context."""
    done = answer(start("forking", folder, OMP_NUM_THREADS="2"))
    assert done == 5, f"{5 - done} of 5 hang"
    return "5 forks: known and new rows right in each"


@fault("threads inside processes", "rows right, one forward each through a disk cache")
def nested(folder: Path) -> str:
    """Nest joblib's backends."""
    cache = FeatureCache(folder / "rows")
    expected = right()
    ours = featurizer(cache=cache, batch_size=10).fit(X)

    parts = joblib.Parallel(n_jobs=2)(joblib.delayed(_in_threads)(ours, k) for k in range(2))
    for rows in (rows for part in parts for rows in part):
        equal(rows, expected)
    assert cache.stats()["forwards"] == cache.stats()["rows"] == 400, cache.stats()
    return "2 processes × 2 threads: 400 forwards for 4 × 400 rows, all right"


def _in_threads(ours: Any, _k: int) -> list[np.ndarray]:
    doing = (joblib.delayed(ours.transform)(X) for _ in range(2))
    return joblib.Parallel(n_jobs=2, backend="threading")(doing)


# -- networks that give nonsense


@fault("a network gives NaN or Inf", "BadItemError with row and layer, or rows of NaN")
def not_finite(_folder: Path) -> str:
    """Divide by zero in the middle of a network."""
    first = int(np.flatnonzero(X[:, 0] <= 0)[0])
    memory_cache().clear()
    said = raised(BadItemError, featurizer(Exploding, cache="memory").fit(X).transform, X)
    assert f"Item {first} of X" in said, said
    assert "'penultimate'" in said, said
    ours = featurizer(Exploding, cache="memory", on_error="nan").fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadItemWarning)
        rows = ours.transform(X)
    assert (np.isnan(rows).all(axis=1) == (X[:, 0] <= 0)).all()
    assert memory_cache().stats()["rows"] == int((X[:, 0] > 0).sum())
    return f"{said[:62]!r}; none is cached"


def observe(one: Fault) -> tuple[bool, str]:
    """Let one thing go wrong, and say what was seen."""
    with tempfile.TemporaryDirectory() as place:
        try:
            return True, one.make(Path(place))
        except (Exception, SystemExit) as error:
            return False, f"{type(error).__name__}: {error}"


def main(words: list[str]) -> int:
    """Print the table."""
    failed = 0
    print("| | fault | expected | observed |\n|---|---|---|---|")
    for one in FAULTS:
        if words and not any(word in one.name for word in words):
            continue
        fine, observed = observe(one)
        failed += not fine
        print(f"| {'ok' if fine else 'FAILED'} | {one.name} | {one.expected} | {observed} |")
        sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    # Under its own name, so that workers find its networks.
    sys.exit(importlib.import_module("tests.faults").main(sys.argv[1:]))
