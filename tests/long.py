"""The slow tests: tables of networks, pages of the documentation, kills, and whole benchmarks.

    python -m tests.long            # any of pytest's options may follow

`python -m tests` runs the others.
"""

from __future__ import annotations

import sys

from tests.__main__ import run

if __name__ == "__main__":
    sys.exit(run("slow", sys.argv[1:]))
