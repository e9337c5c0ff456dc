"""A task and some seconds → every contender's features and passes, in turns, quiet and busy."""

import argparse
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import environments
import inputs
import numpy as np
import references
from contenders import CONTENDERS, MACHINE, NEED_ONNX, Contender
from process import Process, WorkerError
from tasks import Task

HERE = Path(__file__).parent
LEAST_ROUNDS = 2
COST = {"quiet": 1.0, "busy": 1.7}
"""How long a round takes while half the cores are busy, about."""

# What a task is expected to take: used to choose its size; rounds are counted by the clock.
_ROUNDS = 4
_AVERAGE = 0.6  # of the time that plain PyTorch takes
_START = 8  # seconds until a contender has started
_TRIAL = {"arrays": 8, "files": 8, "texts": 32}


def prepare(tasks: list[Task], chosen: argparse.Namespace) -> None:
    """Make environments, weights and ONNX files; what fails is tried again, and said, later."""
    for name in chosen.peers:
        if any(CONTENDERS[name].takes(task) for task in tasks):
            with contextlib.suppress(RuntimeError, OSError, subprocess.TimeoutExpired):
                environments.interpreter(CONTENDERS[name], chosen.base, chosen.cache)
    for task in tasks:
        told = _trial(task, chosen)
        if NEED_ONNX.intersection(chosen.peers) and not Path(told["onnx"]).is_file():
            print(f"writing {told['onnx']}", file=sys.stderr)
            with contextlib.suppress(RuntimeError, OSError, subprocess.TimeoutExpired):
                _write_onnx(told, chosen)


def time_task(task: Task, seconds: float, chosen: argparse.Namespace) -> dict:
    """Run one task with all contenders that take it, for about so many seconds."""
    until = time.monotonic() + seconds
    names = [name for name in chosen.peers if CONTENDERS[name].takes(task)]
    count = _fitting(task, seconds, len(names), chosen)
    told = inputs.describe(task, count, chosen.threads, chosen.cache)
    wanted = references.reference(told, chosen.cache)
    rows = {name: {"title": CONTENDERS[name].title, "seconds": {}} for name in names}
    running: dict[str, Process] = {}
    machine: dict[str, dict[str, float]] = {}
    try:
        for name in names:
            print(f"{task.name}: {name}", file=sys.stderr)
            process = _start(name, rows[name], told, wanted, chosen)
            if process is not None:
                running[name] = process
        limits = Process(MACHINE, chosen.base, chosen.threads, chosen.cache / "machine.log")
        running["machine"] = limits
        limits.ask({"make": told, "options": {}, "packages": []}, chosen.most_seconds)
        for k, load in enumerate(chosen.loads):
            left = until - time.monotonic()
            share = COST[load] / sum(COST[later] for later in chosen.loads[k:])
            with _others_at_work(max(1, chosen.threads // 2) if load == "busy" else 0):
                machine[load] = take_turns(running, rows, load, left * share, chosen)
    finally:
        for process in running.values():
            process.close()
    return {
        "kind": task.kind,
        "network": task.network,
        "count": count,
        "of": task.count,
        "flops": references.useful_flops(told),
        "machine": machine,
        "rows": rows,
    }


def _fitting(task: Task, seconds: float, contenders: int, chosen: argparse.Namespace) -> int:
    """Time plain PyTorch on a few items, and choose how many the task gets."""
    sizes = task.sizes(_most(task, chosen))
    if seconds == float("inf") or len(sizes) == 1:
        return sizes[0]
    pace = references.seconds_per_item(_trial(task, chosen))
    return fitting(sizes, seconds, pace, contenders, chosen.loads)


def fitting(
    sizes: list[int], seconds: float, pace: float, contenders: int, loads: list[str]
) -> int:
    """Return the first size with which some rounds should fit; the last if none does."""
    passes = 1 + _ROUNDS * sum(COST[load] for load in loads)
    each = pace * (_AVERAGE * contenders * passes + 2)  # and the reference
    room = (seconds - contenders * _START) / each
    return next((size for size in sizes if size <= room), sizes[-1])


def _most(task: Task, chosen: argparse.Namespace) -> int | None:
    return chosen.texts if task.kind == "texts" else chosen.size


def _trial(task: Task, chosen: argparse.Namespace) -> dict:
    count = min(_TRIAL[task.kind], task.sizes(_most(task, chosen))[0])
    return inputs.describe(task, count, chosen.threads, chosen.cache)


def _start(
    name: str,
    row: dict,
    told: dict,
    wanted: dict,
    chosen: argparse.Namespace,
) -> Process | None:
    """Start a contender, let it make one pass, and judge its features."""
    contender: Contender = CONTENDERS[name]
    features = chosen.cache / "features.npy"
    process = None
    try:
        python = environments.interpreter(contender, chosen.base, chosen.cache)
        if name in NEED_ONNX and not Path(told["onnx"]).is_file():
            _write_onnx(told, chosen)
        process = Process(contender, python, chosen.threads, chosen.cache / f"{name}.log")
        order = {"make": told, "options": contender.options, "packages": contender.packages}
        row["versions"] = process.ask(order, chosen.most_seconds)["versions"]
        process.ask({"run": str(features)}, chosen.most_seconds)
    except (WorkerError, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        row["failed"] = str(error)
        print(f"  failed: {error}", file=sys.stderr)
        if process is not None:
            process.close()
        return None
    row["features"], row["error"] = references.judge(np.load(features), wanted, contender.tolerance)
    return process


def _write_onnx(told: dict, chosen: argparse.Namespace) -> None:
    python = environments.interpreter(CONTENDERS["onnxruntime"], chosen.base, chosen.cache)
    program = [python, str(HERE / "onnx_files.py"), json.dumps(told)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise WorkerError(f"no ONNX file: {done.stderr.strip().splitlines()[-1]}")


def take_turns(
    running: dict[str, Process],
    rows: dict[str, dict],
    load: str,
    seconds: float,
    chosen: argparse.Namespace,
) -> dict[str, float]:
    """Let each make a pass, again and again while there is time; return the machine's limits."""
    order = list(running)
    shuffle = random.Random(0).shuffle
    machine: dict[str, list[float]] = {}
    longest = 0.0
    until = time.monotonic() + seconds
    for done in range(chosen.repeats):
        started = time.monotonic()
        if done >= LEAST_ROUNDS and started + longest > until:
            break
        shuffle(order)
        for name in list(order):
            time.sleep(0.3)  # threads of the pass before fall asleep
            try:
                answer = running[name].ask({"run": None}, chosen.most_seconds)
            except WorkerError as error:
                rows.setdefault(name, {})["failed"] = str(error)
                order.remove(name)
                running.pop(name).close()
                continue
            if name == "machine":
                for limit, rate in answer["rates"].items():
                    machine.setdefault(limit, []).append(rate)
            else:
                rows[name]["seconds"].setdefault(load, []).append(answer["seconds"])
        longest = max(longest, time.monotonic() - started)
    return {limit: median(rates) for limit, rates in machine.items()}


# Until the run ends, however it does.
_SPIN = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextlib.contextmanager
def _others_at_work(count: int) -> Iterator[None]:
    """Let processes compute that have nothing to do with the contenders."""
    others = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
