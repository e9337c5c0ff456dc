"""Hooks that the caller put on every module of the process → what they are, as networks are told.

What they do to a row cannot be known, so they are facts of every recipe while they are there, and
networks are then run as they are written, each module by a call that hooks can see.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .identity import Identity, identity

_KINDS = ("_global_forward_pre_hooks", "_global_forward_hooks")
_OF_TORCH: Any = nn.modules.module
_TORCH = Path(torch.__file__).parent
_WATCHERS = {
    str(_TORCH / file)
    for file in ("utils/module_tracker.py", "distributed/tensor/debug/_comm_mode.py")
}
_FLAGS = ("_global_forward_hooks_with_kwargs", "_global_forward_hooks_always_called")


def hooks_for_all() -> list[tuple[str, list[bool], Callable[..., Any]]]:
    """List them, without torch's own, which only watch (`torch.utils.flop_counter`)."""
    if not _are_any():
        return []
    torchs = vars(_OF_TORCH)
    return [
        (kind, [number in torchs[flag] for flag in _FLAGS], hook)
        for kind in _KINDS
        for number, hook in [*torchs[kind].items()]
        if not _only_watches(hook)
    ]


def _only_watches(hook: Any) -> bool:
    """Tell torch's own from a user's, which one of torch's functions may wrap or call."""
    function = hook.__func__ if isinstance(hook, types.MethodType) else hook
    is_function = isinstance(function, types.FunctionType)
    return is_function and function.__code__.co_filename in _WATCHERS


def told_hooks() -> Identity | None:
    """Say what they are; None where there are none."""
    hooks = hooks_for_all()
    return identity(hooks) if hooks else None


def key_of_hooks() -> str:
    """Name them; "" where there are none."""
    hooks = told_hooks()
    return hooks.key if hooks else ""


def _are_any() -> bool:
    # Asked several times for each row, and there hardly ever are.
    return bool(_OF_TORCH._global_forward_pre_hooks or _OF_TORCH._global_forward_hooks)  # noqa: SLF001


def facts_of_hooks() -> dict[str, Any]:
    """Say what of them decides rows, as recipes do; nothing where there are none."""
    hooks = told_hooks()
    return {"hooks": hooks.key, "packages_of_hooks": dict(hooks.packages)} if hooks else {}
