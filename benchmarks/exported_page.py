"""What a script measured → the page on exported files, between the two marks of its name."""

import sys
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from report import this_machine

PAGE = Path(__file__).parent.parent / "docs" / "export.md"


def head(command, *packages):
    """Say what was run, when, where and with which versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"`{command}`, {time.strftime('%Y-%m-%d')}, {this_machine()}, {versions}."


def table(columns, rows):
    """Lay out a table in Markdown; all but the first column are flush right."""
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def rows(name, columns):
    """Read the rows of a table of the page, if it has these columns."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    found = PAGE.read_text().split(start)[1].split(end)[0].splitlines()
    cells = [line[2:-2].split(" | ") for line in found if line.startswith("| ")]
    return cells[2:] if cells and cells[0] == list(columns) else []


def put(name, text):
    """Replace what lies between the marks."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = PAGE.read_text().split(start)
    PAGE.write_text(f"{before}{start}\n\n{text}\n\n{end}{rest.split(end)[1]}")
