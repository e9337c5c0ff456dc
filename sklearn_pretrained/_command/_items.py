"""Paths as people type them → the items that they hold, each with its name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Named = tuple[str, Any]


def items_in(paths: Sequence[str], kind: str) -> list[Named]:
    """Read what the paths hold.

    Parameters
    ----------
    paths : sequence of str
        Images and folders of them; files with a text in each line, ``-`` for the standard
        input; ``.npy`` files of rows. A pattern such as ``photos/*.jpg`` stands for its files.
    kind : {"images", "texts", "rows"}
    """
    found = [item for path in paths for item in _READ[kind](path)]
    if not found:
        raise ValueError(f"No {kind} were found in {', '.join(map(repr, paths))}.")
    return found


def _matching(path: str) -> list[Path]:
    """Expand a pattern, where the shell has not."""
    if Path(path).exists() or not set("*?[") & set(path):
        return [Path(path)]
    anchor = Path(path).anchor
    return sorted(Path(anchor or ".").glob(str(Path(path).relative_to(anchor))))


def _images(path: str) -> Iterator[Named]:
    for one in _matching(path):
        if one.is_dir():
            hidden = (file for file in one.rglob("*") if not file.name.startswith("."))
            yield from ((str(file), file) for file in sorted(hidden) if file.is_file())
        else:
            yield str(one), one


def _texts(path: str) -> Iterator[Named]:
    if path == "-":
        yield from ((line, line) for line in sys.stdin.read().splitlines())
        return
    for one in _matching(path):
        lines = one.read_text("utf-8").splitlines()
        yield from ((line, line) for line in lines)


def _rows(path: str) -> Iterator[Named]:
    for one in _matching(path):
        array = np.load(one, allow_pickle=False)
        yield from ((f"{one}[{i}]", row) for i, row in enumerate(array))


_READ = {"images": _images, "texts": _texts, "rows": _rows}
