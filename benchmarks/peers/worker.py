"""Orders, one a line, as JSON → one contender's passes over one task, timed.

Runs in the contender's own environment. Orders are {"make": task, "options": …, "packages": …}
and {"run": path for the features, or null}; each is answered by one line.
"""

import importlib.util
import json
import os
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np


def load(name):
    """Import a worker's file, whose name may be that of the library it uses."""
    path = Path(__file__).parent / "workers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"worker_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def versions(packages):
    """Find the installed versions."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "?"
    return found


def main():
    """Answer orders until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    warnings.simplefilter("ignore")
    work = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "make" in order:
                work = load(sys.argv[1]).make(order["make"], **order["options"])
                answer = {"versions": versions(order["packages"])}
            else:
                started = time.perf_counter()
                result = work()
                answer = {"seconds": time.perf_counter() - started}
                if isinstance(result, dict):
                    answer["rates"] = result
                elif order["run"]:
                    np.save(order["run"], np.asarray(result, dtype=np.float32))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
