"""A worker of joblib that keeps rows in memory → one hint that the others do not see them."""

from __future__ import annotations

import functools
import multiprocessing
import warnings
from typing import Any

from ..exceptions import CacheWarning

# From the warning to the line that fits.
_LEVELS_TO_THE_USER = 4


def hint_at_files(cache: Any) -> None:
    """Say once in a process of joblib's (``n_jobs``) that memory is not shared."""
    if isinstance(cache, str) and cache == "memory":
        _hint(multiprocessing.current_process().name.startswith("LokyProcess"))


@functools.cache
def _hint(is_worker: bool) -> None:  # noqa: FBT001  what decides whether there is a hint
    if is_worker:
        warnings.warn(
            "This is one of several processes that joblib works with (n_jobs), and cache='memory' "
            "is not shared with the others: each computes rows that another may know already. "
            "Pass the path of a file, such as cache='features.sqlite', to compute each row once.",
            CacheWarning,
            stacklevel=_LEVELS_TO_THE_USER,
        )
