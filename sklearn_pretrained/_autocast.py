"""The caller's `torch.autocast` → a context in which networks compute in their own precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_DEVICES = ("cpu", "cuda", "mps")


@contextlib.contextmanager
def without_autocast() -> Iterator[None]:
    """Switch off what would compute in another precision than the recipe names.

    Rows are kept under the recipe, whoever computes them.
    """
    on = [name for name in _DEVICES if torch.is_autocast_enabled(name)]
    with contextlib.ExitStack() as off:
        for name in on:
            off.enter_context(torch.autocast(name, enabled=False))
        yield
