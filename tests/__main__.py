"""The tests that are not slow, a file at a time in as many processes as there are cores.

    python -m tests                 # any of pytest's options may follow

Several processes of one thread each take half as long as one process of several threads. What is
slow is left to `python -m tests.long`; plain `pytest` runs all of it in one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

_MOST = 4  # a process takes up to 3 GB


def run(marked: str, options: Sequence[str]) -> int:
    """Run the tests with a mark, and return pytest's exit status."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processes = str(min(cores or 1, _MOST))
    command = [sys.executable, "-m", "pytest", "-n", processes, "--dist", "loadfile", "-m", marked]
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    return subprocess.run([*command, *options], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(run("not slow", sys.argv[1:]))
