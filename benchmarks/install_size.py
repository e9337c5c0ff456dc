"""The package's dependencies → what an installation downloads, and what it takes on the disk.

    python benchmarks/install_size.py                              # as pip install . does it here
    python benchmarks/install_size.py --torch torch==2.13.0+cpu    # with another torch
    python benchmarks/install_size.py --write torch==2.13.0+cpu    # both, into docs/install.md

pip chooses the files in a dry run, which downloads metadata alone, and each file's server says how
large it is. The disk's share is the sum over a wheel's files, where this environment has that
release. A torch for the CPU comes from PyTorch's own index, or from a folder of `PIP_FIND_LINKS`.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlparse

ROOT = Path(__file__).parent.parent
PAGE, START, END = ROOT / "docs" / "install.md", "<!-- sizes: start -->", "<!-- sizes: end -->"
CUDA = ("nvidia-", "cuda-", "triton")


def chosen(torch):
    """Return name, release and address of each file that pip would install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *([torch] if torch else [])]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report)]
        subprocess.run([*command, *wanted], check=True)
        found = json.loads(report.read_text())["install"]
    return [
        (one["metadata"]["name"], one["metadata"]["version"], one["download_info"]["url"])
        for one in found
    ]


def weight(address):
    """Return the bytes of a file, as its server says or as it lies here."""
    if address.startswith("file:"):
        return Path(unquote(urlparse(address).path)).stat().st_size
    asked = urllib.request.Request(address, method="HEAD")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return int(answer.headers["Content-Length"])


def on_disk(name, release, address):
    """Return the bytes of a wheel's files, or None where they are not known here."""
    if address.startswith("file:") and address.endswith(".whl"):
        with zipfile.ZipFile(unquote(urlparse(address).path)) as wheel:
            return sum(one.file_size for one in wheel.infolist())
    try:
        here = distribution(name)
    except PackageNotFoundError:
        return None
    if here.version != release or here.files is None:
        return None
    return sum(one.size or 0 for one in here.files)


def measured(torch):
    """Return downloads by kind, their number, and the bytes on the disk (None: not known here)."""
    files = chosen(torch)
    kinds = dict.fromkeys(("torch", "CUDA", "others"), 0)
    for name, _, address in files:
        kind = "torch" if name == "torch" else "others"
        kinds["CUDA" if name.lower().startswith(CUDA) else kind] += weight(address)
    sizes = [on_disk(*one) for one in files]
    return kinds, len(files), None if None in sizes else sum(sizes)


def size(n):
    """Write a number of bytes."""
    if n is None:
        return "–"
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


def row(way, torch):
    """Measure one way to install, and return its line of the table."""
    kinds, n, disk = measured(torch)
    cells = [way, *map(size, kinds.values()), f"**{size(sum(kinds.values()))}**", n, size(disk)]
    return "| " + " | ".join(map(str, cells)) + " |"


def main():
    """Print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch", help="a requirement beside those of the package")
    parser.add_argument("--write", metavar="TORCH", help="a torch for the CPU to compare with")
    given = parser.parse_args()
    ways = {given.torch or "torch from PyPI": given.torch}
    if given.write:
        ways = {"torch from PyPI": None, "torch for the CPU": given.write}
    system = f"{platform.system()}, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "| | torch | CUDA libraries | the rest | download | packages | on the disk |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(row(way, torch) for way, torch in ways.items()),
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, by `benchmarks/install_size.py`: {system}.",
    ]
    print(*lines, sep="\n")
    if given.write:
        before, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text("\n".join([before + START, "", *lines, "", END + rest.partition(END)[2]]))


if __name__ == "__main__":
    main()
