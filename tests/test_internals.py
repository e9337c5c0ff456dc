"""Private names of torch: all are in one table, and each does what is expected of it."""

from __future__ import annotations

import ast
import platform
import re
from pathlib import Path

import pytest
import torch

import sklearn_pretrained
from sklearn_pretrained.running.eager._internals import INTERNALS

PACKAGE = Path(sklearn_pretrained.__file__).parent
NAMES = sorted(name for one in INTERNALS for name in one.names)
PLACES = [PACKAGE / "_listeners.py", PACKAGE / "_shared_copy.py", PACKAGE / "_taps.py"]
ON_X86 = {"_reorder_convolution_weight", "_reorder_linear_weight"}


@pytest.mark.parametrize("one", INTERNALS, ids=lambda one: one.names[0])
def test_this_release_of_torch_has_what_is_used(one):
    """Where it has not, the message names the release, what it moved, and what that means."""
    if ON_X86 & set(one.names) and platform.machine() not in {"x86_64", "AMD64"}:
        pytest.skip("torch brings oneDNN's operators for these processors only")

    assert one.probe(), f"torch {torch.__version__} moved {one.names}: {one.without}"


def private_names(path: Path) -> set[str]:
    """Return the private attributes of others that a module uses."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            is_own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls", "sys"}
            found |= set() if is_own else {node.attr}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            found |= {part for part in node.module.split(".") if part.startswith("_")}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} if re.fullmatch("_is_[a-z0-9_]+", node.value) else set()
    return found


def test_the_table_is_complete():
    """Every private name that what runs networks takes from torch is in it, and no other."""
    files = [*PLACES, *(PACKAGE / "running").rglob("*.py")]
    used = set().union(*(private_names(path) for path in files if path.name != "_internals.py"))

    assert sorted(used) == NAMES
