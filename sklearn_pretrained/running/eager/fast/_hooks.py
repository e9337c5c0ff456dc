"""A submodule → who reads what goes into it and what comes out of it."""

# The hooks of a module have no public list.

from __future__ import annotations

from torch import nn


def is_input_read(module: nn.Module) -> bool:
    """Say whether a hook sees what the module is given."""
    return bool(module._forward_pre_hooks)


def is_output_read(module: nn.Module) -> bool:
    """Say whether a hook sees what the module returns."""
    return bool(module._forward_hooks)


def is_plain(module: nn.Module) -> bool:
    """Say whether a module does what its class does, no more and no less."""
    return not (is_input_read(module) or is_output_read(module) or "forward" in vars(module))
