"""sklearn-pretrained beside its peers: the same files, the same features, in turns, on the CPU.

    python benchmarks/peers/run.py                        # everything
    python benchmarks/peers/run.py --tasks arrays-resnet18 --peers ours,naive_32 --size 16
    python benchmarks/peers/run.py --write docs           # and refresh the page in docs

Each contender is one process that stays. A pass is everything from the items to the rows; passes
take turns, in another order each time, and while one runs the others sleep. Peers are installed
into environments of their own below --cache, on top of the packages of --base.
"""

import argparse
import contextlib
import datetime as dt
import json
import os
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import environments
import inputs
import numpy as np
import references
import report
from contenders import CONTENDERS, MACHINE, NEED_ONNX, Contender
from process import Process, WorkerError
from tasks import TASKS, Task


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = {"type": lambda text: text.split(",")}
    parser.add_argument("--tasks", default=list(TASKS), **words, help=",".join(TASKS))
    parser.add_argument("--peers", default=list(CONTENDERS), **words, help=",".join(CONTENDERS))
    parser.add_argument("--repeats", type=int, default=5, help="timed passes of each contender")
    parser.add_argument("--size", type=int, help="at most so many images in a task")
    parser.add_argument("--texts", type=int, help="at most so many texts in a task")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument(
        "--busy", action="store_true", help="keep half the cores busy with other processes"
    )
    parser.add_argument("--base", default=sys.executable, help="interpreter that has torch")
    cache = Path.home() / ".cache" / "sklearn-pretrained-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help="inputs and environments")
    parser.add_argument("--output", type=Path, help="folder of peers.json, peers.md and peers.png")
    parser.add_argument("--write", type=Path, metavar="DOCS", help="docs folder to refresh")
    parser.add_argument("--most-seconds", type=float, default=900, help="limit of one pass")
    chosen = parser.parse_args()
    for name, known in [("tasks", TASKS), ("peers", CONTENDERS)]:
        unknown = set(getattr(chosen, name)) - set(known)
        if unknown:
            parser.error(f"unknown {name}: {sorted(unknown)}; there are {', '.join(known)}")
    return chosen


def time_task(task: Task, chosen: argparse.Namespace) -> dict:
    """Run one task with all contenders that take it."""
    most = chosen.texts if task.kind == "texts" else chosen.size
    count = min(task.count, most or task.count)
    told = inputs.describe(task, count, chosen.threads, chosen.cache)
    wanted = references.reference(told, chosen.cache)
    names = [name for name in chosen.peers if CONTENDERS[name].takes(task)]
    rows = {name: {"title": CONTENDERS[name].title, "seconds": []} for name in names}
    running: dict[str, Process] = {}
    machine: dict[str, list[float]] = {}
    try:
        for name in names:
            print(f"{task.name}: {name}", file=sys.stderr)
            process = _start(name, rows[name], told, wanted, chosen)
            if process is not None:
                running[name] = process
        limits = Process(MACHINE, chosen.base, chosen.threads, chosen.cache / "machine.log")
        running["machine"] = limits
        limits.ask({"make": told, "options": {}, "packages": []}, chosen.most_seconds)
        _take_turns(running, rows, machine, chosen)
    finally:
        for process in running.values():
            process.close()
    return {
        "count": count,
        "flops": references.useful_flops(told),
        "machine": {name: median(rates) for name, rates in machine.items()},
        "rows": rows,
    }


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


def _take_turns(
    running: dict[str, Process],
    rows: dict[str, dict],
    machine: dict[str, list[float]],
    chosen: argparse.Namespace,
) -> None:
    order = list(running)
    shuffle = random.Random(0).shuffle
    for _ in range(chosen.repeats):
        shuffle(order)
        for name in list(order):
            time.sleep(0.3)  # threads of the pass before fall asleep
            try:
                answer = running[name].ask({"run": None}, chosen.most_seconds)
            except WorkerError as error:
                rows.setdefault(name, {})["failed"] = str(error)
                order.remove(name)
                continue
            if name == "machine":
                for limit, rate in answer["rates"].items():
                    machine.setdefault(limit, []).append(rate)
            else:
                rows[name]["seconds"].append(answer["seconds"])


@contextlib.contextmanager
def _others_at_work(count: int) -> Iterator[None]:
    """Let processes compute that have nothing to do with the contenders."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Time the tasks one after the other and write what was found."""
    chosen = arguments()
    chosen.cache.mkdir(parents=True, exist_ok=True)
    output = chosen.output or chosen.cache / "results"
    output.mkdir(parents=True, exist_ok=True)
    found = {
        "command": shlex.join(["python", "benchmarks/peers/run.py", *sys.argv[1:]]),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": report.this_machine(),
        "threads": chosen.threads,
        "repeats": chosen.repeats,
        "busy": chosen.busy,
        "tasks": {},
    }
    for name in chosen.tasks:
        with _others_at_work(chosen.threads // 2 if chosen.busy else 0):
            found["tasks"][name] = time_task(TASKS[name], chosen)
        (output / "peers.json").write_text(json.dumps(found, indent=1))
        print(report.task_table(name, found["tasks"][name]), flush=True)
    (output / "peers.md").write_text(report.page(found))
    report.plot(found, output / "peers.png")
    if chosen.write:
        report.refresh(chosen.write, output)


if __name__ == "__main__":
    main()
