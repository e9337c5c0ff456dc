"""Try the files of a folder, or mutated images and texts for some minutes; count what came out.

    python -m tests.hostile FOLDER              # every file in it, whatever it is
    python -m tests.hostile --minutes 10        # fuzzing; --seed N begins elsewhere

Each batch runs in another process with a limit on its time, so that a crash or a hang is
counted and named, and the rest goes on. The exit status is 1 where there was any, or a wrong row.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile import images, texts

ROOT = Path(__file__).parent.parent.parent


def mutated(seed: int, n: int = 60) -> tuple[list[images.Case], list[texts.Case]]:
    """Make images with bytes changed, and texts, from a seed."""
    dice = np.random.default_rng(seed)
    made: list[images.Case] = []
    while len(made) < n:
        kind, mode = dice.choice(images.formats()), dice.choice(images.MODES)
        size = tuple(int(side) for side in dice.integers(1, 60, 2))
        whole = images.save(images.in_mode(str(mode), seed, size), str(kind))
        if whole:
            made.append((f"{seed}: {kind} of {mode} {len(made)}", mutate(whole, dice)))
    return made, list(texts.random_texts(seed, n))


def mutate(data: bytes, dice: np.random.Generator) -> bytes:
    """Change a file in a few of the ways in which files break, or are broken on purpose."""
    for _ in range(dice.integers(1, 4)):
        data = _mutate_once(data, dice)
    return data


def _mutate_once(data: bytes, dice: np.random.Generator) -> bytes:
    at, end = sorted(dice.integers(0, len(data) + 1, 2).tolist())
    head = int(dice.integers(0, min(len(data), 64) + 1))
    numbers = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000)
    odd = int(dice.choice(numbers)).to_bytes(4, "big" if dice.random() < 0.5 else "little")
    ways = (
        lambda: images.flipped(data, dice, int(dice.integers(1, 20))),
        lambda: images.flipped(data[:64], dice, 3) + data[64:],
        lambda: data[:at],
        lambda: data[:at] + data[end:],
        lambda: data[:end] + data[at:],
        lambda: data[:head] + odd + data[head + 4 :],
        lambda: data[:at] + dice.bytes(16) + data[at:],
    )
    return ways[dice.integers(len(ways))]()


def work(limit: float) -> None:
    """Answer batches, one a line, until there are no more."""
    from tests.hostile import trial

    faulthandler.enable()
    as_images = trial.images()
    for line in sys.stdin:
        faulthandler.dump_traceback_later(limit)
        batch = json.loads(line)
        if "paths" in batch:
            _fail_on_purpose(batch["paths"])
            parts = [(as_images, [(path, path) for path in batch["paths"]], trial.image_row)]
        else:
            pictures, words = mutated(batch["seed"])
            parts = [(as_images, pictures, trial.image_row), (trial.texts(), words, trial.text_row)]
        total: dict[str, Any] = {"rows": 0, "errors": Counter(), "wrong": [], "stricter": []}
        for featurizer, cases, expected in parts:
            report = trial.run(featurizer, cases, expected)
            total["rows"] += report.rows
            total["errors"] += report.errors
            total["wrong"] += report.wrong
            total["stricter"] += report.stricter
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(total), flush=True)


def _fail_on_purpose(paths: list[str]) -> None:
    """Crash and hang where a test of this command asks for it."""
    if os.environ.get("FAIL_ON_PURPOSE") and any("crash" in Path(path).name for path in paths):
        os.abort()
    if os.environ.get("FAIL_ON_PURPOSE") and any("hang" in Path(path).name for path in paths):
        time.sleep(1000)


class Worker:
    """A process that answers batches, replaced when it dies or takes too long."""

    def __init__(self, limit: float, *, faults: bool) -> None:
        self.limit = limit
        self._environment = {**os.environ, "FAIL_ON_PURPOSE": "1" if faults else ""}
        self._process: subprocess.Popen | None = None

    def ask(self, batch: dict[str, Any]) -> dict[str, Any] | str:
        """Return the counts of a batch, or "crashes" or "hangs"."""
        fresh = self._process is None
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.hostile", "--worker", str(self.limit)],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(batch) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            self.stop()
            return "crashes"
        # The first answer waits for imports too.
        ready, _, _ = select.select([process.stdout], [], [], self.limit + (90 if fresh else 0))
        answer = process.stdout.readline() if ready else ""
        if answer:
            return json.loads(answer)
        self.stop()
        return "crashes" if ready else "hangs"

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def batches_of(kind: str, where: list[str], batch: int) -> Iterator[dict[str, Any]]:
    """Yield batches of a folder's paths, or seeds for as long as one likes."""
    if kind == "folder":
        paths = sorted(str(p) for place in where for p in Path(place).rglob("*") if p.is_file())
        for first in range(0, len(paths), batch):
            yield {"paths": paths[first : first + batch]}
    else:
        for seed in itertools.count(int(where[0])):
            yield {"seed": seed}


def try_apart(
    kind: str,
    where: list[str],
    *,
    batch: int = 32,
    limit: float = 60.0,
    until: float = float("inf"),
    faults: bool = False,
) -> dict[str, Any]:
    """Send batches to a process apart, and add up what it says."""
    totals: dict[str, Any] = {"rows": 0, "errors": Counter()}
    totals |= {name: [] for name in ("wrong", "stricter", "crashes", "hangs")}
    worker = Worker(limit, faults=faults)
    todo = batches_of(kind, where, batch)
    again: list[dict[str, Any]] = []
    try:
        while (asked := again.pop() if again else next(todo, None)) and time.monotonic() < until:
            answer = worker.ask(asked)
            if isinstance(answer, dict):
                totals["rows"] += answer["rows"]
                totals["errors"].update(answer["errors"])
                totals["wrong"] += answer["wrong"]
                totals["stricter"] += answer["stricter"]
            elif len(asked.get("paths", ())) > 1:  # each alone, to tell which it was
                again += [{"paths": [path]} for path in asked["paths"]]
            else:
                totals[answer].append(str(asked))
    finally:
        worker.stop()
    return totals


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("folder", nargs="*")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        work(chosen.worker)
        return 0
    if bool(chosen.folder) is (chosen.minutes is not None):
        parser.error("name folders, or say --minutes")
    if chosen.folder:
        totals = try_apart("folder", chosen.folder)
    else:
        until = time.monotonic() + 60 * chosen.minutes
        totals = try_apart("seed", [str(chosen.seed)], until=until)
    print(f"{totals['rows']} rows, {totals['errors'].total()} errors that name their item:")
    for said, n in totals["errors"].most_common():
        print(f"{n:8} {said}")
    for name in ("stricter", "wrong", "crashes", "hangs"):
        print(f"{name}: {len(totals[name])}")
        for item in totals[name][:50]:
            print(f"         {item}")
    return int(any(totals[name] for name in ("wrong", "crashes", "hangs")))


if __name__ == "__main__":
    sys.exit(main())
