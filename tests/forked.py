"""Programs, each in a new process that has already imported the heavy libraries.

Importing them takes most of a short program's time. One process imports them once, before it starts
a thread, computes nothing, and forks for each program. A program is run as `python -c` would: in a
namespace of its own, in an empty folder, with the interpreter's usual end. But submodules of these
libraries are there unasked, such as `sklearn.pipeline` after `import sklearn`.

Used as a script with the names of the libraries, it is that process: it says when it is ready,
orders come as lines of JSON, and each is answered by a status.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import types
from pathlib import Path

HEAVY = (
    "torch",
    "torchvision.transforms.v2",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "matplotlib.pyplot",
    "pandas",
    "scipy.stats",
    "skimage.data",
)
SECONDS = 600


def run(program: str) -> str:
    """Run a program in an empty folder, and return what it printed; raise with its errors."""
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty")
        empty.mkdir()
        order = {"program": program, "folder": folder}
        forks = _forks()
        forks.stdin.write(json.dumps(order) + "\n")
        forks.stdin.flush()
        status = forks.stdout.readline().strip()
        printed, errors = (Path(folder, name).read_text() for name in ("printed", "errors"))
    if status != "0":
        raise RuntimeError(f"{errors}\nstatus {status}")
    return printed


@functools.cache
def _forks() -> subprocess.Popen[str]:
    with tempfile.TemporaryFile("w+") as errors:
        forks = subprocess.Popen(
            [sys.executable, __file__, *HEAVY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        if not forks.stdout.readline():
            forks.communicate()
            errors.seek(0)
            raise RuntimeError(f"the heavy libraries cannot be imported\n{errors.read()}")

    def end() -> None:
        with contextlib.suppress(OSError):
            forks.stdin.close()
        forks.wait()
        forks.stdout.close()

    atexit.register(end)
    return forks


def _wait_for_programs() -> str:
    """Answer orders, and return a program in the process that is to run it."""
    answers = os.fdopen(os.dup(1), "w")
    for name in sys.argv[1:]:
        importlib.import_module(name)
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            answers.close()
            signal.alarm(SECONDS)
            os.chdir(Path(order["folder"], "empty"))
            for number, name in enumerate([os.devnull, "../printed", "../errors"]):
                opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
                os.dup2(opened, number)
                os.close(opened)
            return order["program"]
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        answers.flush()
    sys.exit()


if __name__ == "__main__":
    code = compile(_wait_for_programs(), "<string>", "exec")
    sys.argv, sys.path[0] = ["-c"], ""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(code, main.__dict__)
