"""A worker of joblib that keeps rows in memory → one hint that the others do not see them."""

from __future__ import annotations

import multiprocessing
from typing import Any

from ..exceptions import CacheWarning
from ..process import remembered, warn


def hint_at_files(cache: Any) -> None:
    """Say once in a process of joblib's (``n_jobs``) that memory is not shared."""
    if isinstance(cache, str) and cache == "memory":
        _hint(multiprocessing.current_process().name.startswith("LokyProcess"))


@remembered("hints that were given")
def _hint(is_worker: bool) -> None:  # noqa: FBT001  what decides whether there is a hint
    if is_worker:
        warn(
            "This is one of several joblib worker processes (n_jobs), which do not share "
            "cache='memory': each process computes rows that another may already have. Pass the "
            "path of a file, such as cache='features.sqlite', to compute each row once.",
            CacheWarning,
        )
