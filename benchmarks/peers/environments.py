"""What a contender needs installed → the interpreter of an environment that has it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from contenders import Contender

MOST_SECONDS = 1800


def interpreter(contender: Contender, base: str, cache: Path) -> str:
    """Return the interpreter that runs a contender; makes its environment where it is missing.

    An environment is a layer over the base interpreter's packages, so that torch is there once.
    """
    if not contender.requires:
        return base
    name = "-".join(package.partition("[")[0] for package in contender.requires)
    folder = cache / "environments" / name
    python = folder / "bin" / "python"
    ready = folder / "ready.json"
    wanted = json.dumps([contender.requires, contender.alone, base])
    if ready.is_file() and ready.read_text() == wanted:
        return str(python)
    print(f"making the environment {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    _run([base, "-m", "venv", folder])
    if not contender.alone:
        layer = f"import site; site.addsitedir({_packages_of(base)!r})\n"
        (Path(_packages_of(str(python))) / "base.pth").write_text(layer)
    _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *contender.requires])
    ready.write_text(wanted)
    return str(python)


def _packages_of(python: str) -> str:
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return _run([python, "-c", program]).strip()


def _run(command: list) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr.strip()[-400:]}")
    return done.stdout
