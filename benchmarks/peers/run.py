"""sklearn-pretrained beside its peers: the same files, the same features, in turns, on the CPU.

    python benchmarks/peers/run.py --both --minutes 55         # every task, quiet and busy
    python benchmarks/peers/run.py --tasks arrays-resnet18 --peers ours,naive_32
    python benchmarks/peers/run.py --both --write docs         # and refresh the pages in docs

Each contender is one process that stays. A pass is everything from the items to the rows; passes
take turns, in another order each time, and while one runs the others sleep. Peers are installed
into environments of their own below --cache, on top of the packages of --base, before the time
of --minutes begins. Tasks share this time: short of it, they have fewer items, then fewer rounds.
"""

import argparse
import datetime as dt
import json
import os
import shlex
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import report
from contenders import CONTENDERS, MAIN
from tasks import TASKS
from turns import LEAST_ROUNDS, prepare, time_task


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    words = {"type": lambda text: text.split(",")}
    parser.add_argument("--tasks", default=list(TASKS), **words, help=",".join(TASKS))
    parser.add_argument(
        "--peers", default=list(MAIN), **words, help=f"all, or some of {','.join(CONTENDERS)}"
    )
    parser.add_argument(
        "--minutes", type=float, default=30, help="for all tasks, installs apart; inf: no limit"
    )
    parser.add_argument("--repeats", type=int, default=6, help="rounds of a task, at most")
    parser.add_argument("--size", type=int, help="at most so many images in a task")
    parser.add_argument("--texts", type=int, help="at most so many texts in a task")
    parser.add_argument("--threads", type=int, default=threads)
    loads = parser.add_mutually_exclusive_group()
    loads.add_argument(
        "--busy",
        action="store_const",
        dest="loads",
        const=["busy"],
        help="keep half the cores busy with other processes",
    )
    loads.add_argument(
        "--both",
        action="store_const",
        dest="loads",
        const=["quiet", "busy"],
        help="each task on the machine as it is, and then busy",
    )
    parser.add_argument("--base", default=sys.executable, help="interpreter that has torch")
    cache = Path.home() / ".cache" / "sklearn-pretrained-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help="inputs and environments")
    parser.add_argument("--output", type=Path, help="folder of peers.json, peers.md and peers.png")
    parser.add_argument(
        "--keep", action="store_true", help="keep the other tasks that --output already has"
    )
    parser.add_argument("--write", type=Path, metavar="DOCS", help="docs folder to refresh")
    parser.add_argument("--most-seconds", type=float, default=900, help="limit of one pass")
    parser.set_defaults(loads=["quiet"])
    chosen = parser.parse_args()
    if chosen.peers == ["all"]:
        chosen.peers = list(CONTENDERS)
    for name, known in [("tasks", TASKS), ("peers", CONTENDERS)]:
        unknown = set(getattr(chosen, name)) - set(known)
        if unknown:
            parser.error(f"unknown {name}: {sorted(unknown)}; there are {', '.join(known)}")
    if chosen.repeats < LEAST_ROUNDS:
        parser.error(f"--repeats: at least {LEAST_ROUNDS} rounds are needed")
    return chosen


def main() -> None:
    """Time the tasks one after the other and write what was found, after each of them."""
    chosen = arguments()
    chosen.cache.mkdir(parents=True, exist_ok=True)
    output = chosen.output or chosen.cache / "results"
    output.mkdir(parents=True, exist_ok=True)
    about = {"machine": report.this_machine(), "threads": chosen.threads}
    tasks = kept(output, about) if chosen.keep else {}
    wanted = [task for name, task in TASKS.items() if name in chosen.tasks]
    prepare(wanted, chosen)
    ends = time.monotonic() + 60 * chosen.minutes
    for k, task in enumerate(wanted):
        share = task.weight / sum(later.weight for later in wanted[k:])
        tasks[task.name] = {
            "command": command(sys.argv[1:]),
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            **time_task(task, max(0.0, ends - time.monotonic()) * share, chosen),
        }
        found = about | {"tasks": {name: tasks[name] for name in TASKS if name in tasks}}
        report.write(found, output)
        print(report.task_table(task.name, tasks[task.name]), flush=True)
    if chosen.write:
        report.refresh(chosen.write, output)


def command(words: list[str]) -> str:
    """Write the command without the folders of this machine."""
    folders, told = ("--base", "--cache", "--output", "--write"), []
    for before, word in zip(["", *words], words, strict=False):
        if word != "--keep" and before not in folders and not word.startswith(folders):
            told.append(word)
    return shlex.join(["python", "benchmarks/peers/run.py", *told])


def kept(output: Path, about: dict) -> dict:
    """Read the tasks that an earlier run has timed on this machine."""
    path = output / "peers.json"
    found = json.loads(path.read_text()) if path.is_file() else about | {"tasks": {}}
    if {name: found[name] for name in about} != about:
        raise SystemExit(f"{path} is of another machine or number of threads: {found['machine']}")
    return found["tasks"]


if __name__ == "__main__":
    main()
