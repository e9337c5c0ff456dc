"""What the caller has set in torch → a context in which networks are made and run as if he had not.

Rows are kept under a recipe, whoever computes them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

_DEVICES = ("cpu", "cuda", "mps")
_NOTHING: AbstractContextManager[Any] = contextlib.nullcontext()


def without_autocast() -> AbstractContextManager[Any]:
    """Return what switches off, at once, what would compute in another precision than is named."""
    # Hardly ever is anything on, and one row of a small network takes microseconds.
    on = [name for name in _DEVICES if torch.is_autocast_enabled(name)]
    return _off(on) if on else _NOTHING


@contextlib.contextmanager
def _off(names: Sequence[str]) -> Iterator[None]:
    with contextlib.ExitStack() as off:
        for name in names:
            off.enter_context(torch.autocast(name, enabled=False))
        yield


def on_cpu_by_default() -> AbstractContextManager[Any]:
    """Return what lets tensors be made on the CPU where nobody says otherwise."""
    # A tensor tells in a quarter of the time that torch.get_default_device takes.
    with contextlib.suppress(RuntimeError):  # of a GPU that cannot be used here
        if torch.empty(0).is_cpu:
            return _NOTHING
    return torch.device("cpu")


@contextlib.contextmanager
def as_by_default() -> Iterator[None]:
    """Make networks as torch does by default: in float32, on the CPU, not for inference alone.

    The default dtype is one for all threads, so only who makes networks, one at a time, may enter.
    """
    dtype = torch.get_default_dtype()
    with (
        contextlib.ExitStack() as back,
        torch.inference_mode(mode=False),
        without_autocast(),
        on_cpu_by_default(),
    ):
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            back.callback(torch.set_default_dtype, dtype)
        yield
