"""What the process keeps: one register, one way to empty it."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import sklearn_pretrained
from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, release
from sklearn_pretrained.process import _process
from sklearn_pretrained.running.eager.fast._memory import keep_pages
from tests.conftest import make_mlp

PACKAGE = Path(sklearn_pretrained.__file__).parent
# What a user registered, what callers still hold, and what tells objects apart is not a store.
NOT_STORES = {
    *("_registered", "_held_during_forks", "_in_children", "_stores", "_changes"),
    *("_tokens", "_held", "_of_parents", "_to_renew"),
}
# Files that are open stay open, since other threads may hold claims in them.
OWN_MEMOS = {"_store.py", "_pooling_names.py"}  # which hold names, below `process`
_CONTAINERS = {"OrderedDict", "WeakKeyDictionary", "WeakSet", "WeakValueDictionary", "defaultdict"}


def _is_empty_container(value):
    if isinstance(value, ast.Dict | ast.List):
        return not (value.keys if isinstance(value, ast.Dict) else value.elts)
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else value.func.id
        return name in _CONTAINERS | {"dict", "list", "set"} and not value.args
    return False


def _stores(module):
    """Name the empty containers that a module makes when it is imported."""
    for node in module.body:
        if isinstance(node, ast.AnnAssign) and node.value and _is_empty_container(node.value):
            yield node.target.id


def test_every_store_of_the_process_is_registered():
    """A container that a module fills, or a memo of a function, is known to `release`."""
    unknown = []
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        has_memo = "functools.cache\n" in text or "lru_cache" in text
        if has_memo and path.name not in {"_process.py", *OWN_MEMOS}:
            unknown.append(f"{path.name}: a memo of its own")
        flat = text.replace('keep(\n    f"', 'keep(f"')
        unknown += [
            f"{path.name}: {name}"
            for name in _stores(ast.parse(text))
            if name not in NOT_STORES and f'keep(f"{{__name__}}.{name}"' not in flat
        ]

    assert unknown == []


def test_release_empties_every_store_and_estimators_go_on():
    """Networks, rows, plans and what was tried are gone, and made again when they are needed."""
    images = [np.full((40, 40, 3), 99, np.uint8)]
    featurizer = PretrainedImageFeaturizer(image_size=32, layer="features.2").fit(images)
    rows = featurizer.transform(images)
    held = {name for name, store in _process.kept().items() if store.size()}
    assert {name.rpartition(".")[2] for name in held} >= {"_loaded", "_plans", "memory_cache"}

    release()

    assert [name for name, store in _process.kept().items() if store.size()] == []
    np.testing.assert_array_equal(featurizer.transform(images), rows)
    assert featurizer.counts_.computed == 2


def test_what_is_kept_is_said_in_words():
    """Each store says what it holds, so that a page or a command can list them."""
    ModuleFeaturizer(make_mlp(), layer="0").fit_transform(np.eye(8, dtype=np.float32))

    assert all(store.holds and store.size() >= 0 for store in _process.kept().values())


def test_a_change_of_the_process_is_made_once_and_told():
    """`changes` says what was changed in the process itself, and by which function."""
    made = []

    @_process.once("nothing, for a test")
    def change() -> bool:
        made.append(1)
        return True

    try:
        assert change()
        assert change()
        assert made == [1]
        assert "nothing, for a test" in _process.changes().values()
    finally:
        del _process._changes[f"{change.__module__}.{change.__qualname__}"]


def test_the_page_on_production_lists_what_is_changed_in_the_process():
    """One line for each function that makes such a change, and one for forked children."""
    made = sum(path.read_text().count("\n@once(") for path in PACKAGE.rglob("*.py"))
    page = (PACKAGE.parent / "docs" / "production.md").read_text()
    _, _, told = page.partition("These settings of the process are changed")

    assert made >= 4
    assert told.partition("\n## ")[0].count("\n- ") == made + 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the size from /proc")
def test_release_gives_memory_back_to_the_system():
    """Though the pages that a forward frees are kept for the next one."""
    page = os.sysconf("SC_PAGE_SIZE")

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * page

    keep_pages()
    release()
    before = resident()
    freed = [torch.ones(16_000_000) for _ in range(4)]
    above = torch.ones(1000)
    del freed
    assert resident() - before > 200e6

    release()

    assert above.sum() == 1000
    assert resident() - before < 50e6
