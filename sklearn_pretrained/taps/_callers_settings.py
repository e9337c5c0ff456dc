"""What the caller has set in torch → a context in which networks are made and run as if he had not.

Rows are kept under a recipe, whoever computes them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_DEVICES = ("cpu", "cuda", "mps")


@contextlib.contextmanager
def without_autocast() -> Iterator[None]:
    """Switch off what would compute in another precision than the recipe names."""
    on = [name for name in _DEVICES if torch.is_autocast_enabled(name)]
    if not on:
        yield
        return
    with contextlib.ExitStack() as off:
        for name in on:
            off.enter_context(torch.autocast(name, enabled=False))
        yield


@contextlib.contextmanager
def on_cpu_by_default() -> Iterator[None]:
    """Let tensors be made on the CPU where nobody says otherwise."""
    if torch.get_default_device().type == "cpu":
        yield
        return
    with torch.device("cpu"):
        yield


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
