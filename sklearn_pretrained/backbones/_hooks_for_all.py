"""Hooks that the caller put on every module of the process → what they are, as networks are told.

What they do to a row cannot be known, so they are facts of every recipe while they are there, and
networks are then run as they are written, each module by a call that hooks can see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from .identity import Identity, identity

_KINDS = ("_global_forward_pre_hooks", "_global_forward_hooks")
_FLAGS = ("_global_forward_hooks_with_kwargs", "_global_forward_hooks_always_called")


def hooks_for_all() -> list[tuple[str, list[bool], Callable[..., Any]]]:
    """List them, without torch's own, which only watch (`torch.utils.flop_counter`)."""
    torchs = vars(nn.modules.module)
    return [
        (kind, [number in torchs[flag] for flag in _FLAGS], hook)
        for kind in _KINDS
        for number, hook in [*torchs[kind].items()]
        if not str(getattr(hook, "__module__", "")).startswith("torch.")
    ]


def told_hooks() -> Identity | None:
    """Say what they are; None where there are none."""
    hooks = hooks_for_all()
    return identity(hooks) if hooks else None
