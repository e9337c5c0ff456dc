"""The long runs of engines and of shared folders: kills, thousands of pictures and texts.

    python -m tests.engines.long              # an hour; any of pytest's options may follow
    python -m tests.engines.long -k ray       # one engine alone

It needs the environment of the engines (CONTRIBUTING.md). What it counts is printed (`-s`).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RUNS = ("long_engines.py", "long_folders.py")

if __name__ == "__main__":
    files = [str(Path(__file__).with_name(name)) for name in RUNS]
    command = [sys.executable, "-m", "pytest", "-s", "--timeout=7200", *files, *sys.argv[1:]]
    sys.exit(subprocess.run(command, check=False).returncode)
