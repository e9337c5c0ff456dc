"""Ctrl-C in the middle of storing rows: each stays under its own name, and nobody waits for it."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sklearn_pretrained.cache._memory import OVERHEAD, MemoryStore, _MemoryClaim
from sklearn_pretrained.cache._policy import RowCache
from sklearn_pretrained.cache.disk import DiskStore
from sklearn_pretrained.cache.disk._claims import DiskClaim
from sklearn_pretrained.cache.segments import SegmentStore
from sklearn_pretrained.cache.segments._store import SegmentClaim
from sklearn_pretrained.recipe._recipe import Bundle
from tests import interrupts
from tests.rows import digest_of, fetch, rows_of

DIGESTS = [2 * digest_of(i) for i in range(24)]  # as long as those of items
BUNDLES = [Bundle(recipe, (("layer", 6),)) for recipe in ("one", "another")]
ROOM = 20 * (6 * 4 + OVERHEAD)
"""Bytes for fewer rows than one recipe has, so that those of the other go."""

WHERE = {
    "keeps in memory": _MemoryClaim.keep,
    "stores in memory": MemoryStore.put,
    "forgets in memory": MemoryStore._forget_empty,
    "claims in memory": MemoryStore.start,
    "frees in memory": MemoryStore.end,
    "claims in a file": DiskClaim._take,
    "keeps in a file": DiskClaim.keep,
    "stores in a file": DiskClaim._flush,
    "frees in a file": DiskClaim.release,
    "keeps in a folder": SegmentClaim.keep,
    "releases in a folder": SegmentClaim.release,
    "stores in a folder": SegmentStore.put,
}


def make_store(where: str, folder: Path) -> Any:
    if "memory" in where:
        return MemoryStore(ROOM)
    if "file" in where:
        return DiskStore(folder / "features.sqlite")
    return SegmentStore(folder / "features", hold=60.0)


def interrupted(code: Any, stop: int, work: Callable[[], object]) -> bool:
    """Interrupt some work before the n-th line of a function, and say whether it came so far."""
    seen = 0
    spared = interrupts.with_lines(code.co_filename)

    def in_function(frame: Any, event: str, _arg: Any) -> Any:
        nonlocal seen
        if event == "line" and frame.f_lineno not in spared:
            seen += 1
            if seen == stop:
                sys.settrace(None)
                raise KeyboardInterrupt
        return in_function

    before = sys.gettrace()
    sys.settrace(lambda frame, *_: in_function if frame.f_code is code else None)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def use(store: Any) -> None:
    """Ask for the same items under two recipes."""
    for bundle in BUNDLES:
        out, _ = fetch(RowCache(store), DIGESTS, bundle)
        np.testing.assert_array_equal(out, rows_of(DIGESTS, bundle))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.timeout(120)
def test_an_interrupt_at_any_line_leaves_every_row_under_its_own_name(where, tmp_path):
    """Of each recipe; what was being stored is stored or missing, and no claim is left."""
    code = WHERE[where].__code__
    stop = 1
    while True:
        store = make_store(where, tmp_path / str(stop))
        came_so_far = interrupted(code, stop, lambda store=store: use(store))
        use(store)
        use(store)
        if isinstance(store, MemoryStore):
            store.clear()
            use(store)
            assert not any(store._claims.values())
        elif isinstance(store, DiskStore):
            with contextlib.closing(sqlite3.connect(store.path)) as connection:
                assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
        if not came_so_far:
            break
        # Far into a loop, its lines have all been tried.
        stop += 1 if stop < 40 else 17
    assert stop > 3
