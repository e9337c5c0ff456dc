"""A page of README or docs → what is wrong with its blocks of Python, each run by itself.

    python -m tests.pages docs/layers.md            # each in a new process and empty folder
    python -m tests.pages --write docs/layers.md    # puts what was printed below each block

A block is run alone. On a page that says so below its first block, the others are run behind that
one. What a block prints stands below it; decimals hold to a hundredth, since processors round
differently. Below "for example" stands what differs from one machine or run to the next.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests import forked

ROOT = Path(__file__).parent.parent
CONTINUES = (
    "The other blocks of this page continue from this one: each can be pasted after it, alone."
)
# Blocks of `py` are not run here; why not, and what runs them.
NOT_RUN = {
    "caching.md": "an object store; tests/test_addresses.py has one in memory",
    "coming_from.md": "the libraries compared with, and weights from the hub; benchmarks/peers",
    "export.md": "a server, and photographs with labels; tests/test_export_page.py",
    "recipes.md": "weights from the hub; tests/test_recipes.py runs each pair with random ones",
    "scale.md": "Ray, Dask, Spark and datasets; tests/engines",
    "speed.md": "a GPU; tests/test_torch_rows.py",
    "zero_shot.md": "CLIP's weights from the hub; tests/test_zero_shot.py has a small CLIP",
}
_BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```\n"
    r"(?:\n<!-- prints(?P<example>, for example)? -->\n```text\n(?P<shown>.*?)```\n)?",
    flags=re.DOTALL,
)
_NUMBER = re.compile(r"-?\d+\.\d*(?:e[-+]\d+)?")
_BEGINS = "--- the block begins ---"


def run(program: str) -> str:
    """Run a program as a new user would, and return what its last part printed."""
    return forked.run(program).partition(f"{_BEGINS}\n")[2]


def programs(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each block of a page, and the program that it is when pasted as the page says."""
    blocks = list(_BLOCK.finditer(text))
    for i, block in enumerate(blocks):
        base = blocks[0]["code"] if i and CONTINUES in " ".join(text.split()) else ""
        yield block, f"{base}\nprint({_BEGINS!r})\n{block['code']}"


def differs(printed: str, shown: str) -> bool:
    """Compare words, and numbers to a hundredth."""
    words = [" ".join(_NUMBER.sub("#", one).split()) for one in (printed, shown)]
    if words[0] != words[1]:
        return True
    found, expected = (np.array(_NUMBER.findall(one), float) for one in (printed, shown))
    return not np.allclose(found, expected, atol=0.01, rtol=0.01)


def faults(page: Path) -> Iterator[str]:
    """Run the blocks of a page one by one, and yield what is wrong with each."""
    text = page.read_text()
    for block, program in programs(text):
        where = f"{page.name}, line {text.count(chr(10), 0, block.start()) + 1}"
        try:
            printed = run(program)
        except RuntimeError as error:
            yield f"{where}: {error}"
            continue
        if bool(printed) != bool(block["shown"]):
            yield f"{where}: {'not ' * bool(printed)}shown is what it prints:\n{printed}"
        elif not block["example"] and differs(printed, block["shown"] or ""):
            yield f"{where} prints\n{printed}and shows\n{block['shown']}"


def write(page: Path) -> None:
    """Put below each block what it prints; what is an example stays."""
    text = page.read_text()
    for block, program in reversed(list(programs(text))):
        printed = "" if block["example"] else run(program)
        if not block["example"] and differs(printed, block["shown"] or ""):
            below = f"\n<!-- prints -->\n```text\n{printed}```\n" if printed else ""
            code = f"```python\n{block['code']}```\n"
            text = text[: block.start()] + code + below + text[block.end() :]
    page.write_text(text)


def main(arguments: list[str]) -> int:
    """Print what is wrong with the pages; the exit status counts it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args(arguments)
    found = 0
    for page in chosen.pages:
        if chosen.write:
            write(page)
        else:
            for fault in faults(page):
                print(fault, flush=True)
                found += 1
    return min(found, 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
