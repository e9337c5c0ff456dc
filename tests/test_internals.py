"""Undocumented names of torch, transformers and timm: all are in one table, and each works."""

from __future__ import annotations

import ast
import platform
import re
from pathlib import Path

import pytest

import sklearn_pretrained
from sklearn_pretrained.running.eager._internals import INTERNALS

PACKAGE = Path(sklearn_pretrained.__file__).parent
PLACES = [
    *(PACKAGE / "taps" / f"{name}.py" for name in ("_listeners", "_shared_copy", "_taps")),
    *(PACKAGE / "backbones" / f"{name}.py" for name in ("_tensors", "_weights", "own/_network")),
    *(PACKAGE / "backbones" / f"{name}.py" for name in ("identity/_kinds", "own/_program")),
    *(PACKAGE / "backbones" / "transformers").glob("*.py"),
    *(PACKAGE / "layers").glob("*.py"),
    *(PACKAGE / "running").rglob("*.py"),
]
OURS = {"self", "cls", "sys", "_transformers", "_sentence_modules"}
DOCUMENTED = {"timm.models", "transformers"}
ON_X86 = {"_reorder_convolution_weight", "_reorder_linear_weight"}


@pytest.mark.parametrize("one", INTERNALS, ids=lambda one: one.names[0])
def test_this_release_has_what_is_used(one):
    """Where it has not, the message names the release, what it moved, and what that means."""
    if ON_X86 & set(one.names) and platform.machine() not in {"x86_64", "AMD64"}:
        pytest.skip("torch brings oneDNN's operators for these processors only")

    release = f"{one.library} {pytest.importorskip(one.library).__version__}"
    try:
        works = one.probe()
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{release} moved {error}: {one.without}")
    assert works, f"{release} changed {one.names}: {one.without}"


def private_names(path: Path) -> set[str]:
    """Return the private attributes of others that a module uses."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            is_own = isinstance(node.value, ast.Name) and node.value.id in OURS
            found |= set() if is_own else {node.attr}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            found |= {part for part in node.module.split(".") if part.startswith("_")}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} if re.fullmatch("_is_[a-z0-9_]+", node.value) else set()
    return found


def test_the_table_has_every_private_name_of_torch():
    """Of those that what describes, plans and runs networks uses, and no other."""
    used = set().union(*(private_names(path) for path in PLACES if path.name != "_internals.py"))

    assert sorted(used) == sorted(
        name for one in INTERNALS if one.library == "torch" for name in one.names
    )


def undocumented_imports(path: Path) -> set[str]:
    """Return what a module imports from submodules of transformers and timm."""
    return {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module
        if node.module.partition(".")[0] in {"timm", "transformers"}
        if node.module not in DOCUMENTED
        for alias in node.names
    }


def test_the_table_has_every_undocumented_import():
    """Submodules of transformers and timm are not part of their documented interface."""
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "_internals.py"]
    used = set().union(*(undocumented_imports(path) for path in files))

    assert sorted(used) == sorted(
        name for one in INTERNALS if one.library != "torch" for name in one.names
    )
