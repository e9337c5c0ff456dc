"""A module of the user's → what it was found to be, as long as nothing in it has changed."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...process import keep
from ..identity import Identity, Watch, identity

_MOST = 16
_STATE = ("state_dict", "_save_to_state_dict", "get_extra_state")


@dataclass(frozen=True)
class Found:
    """What a module was found to be, and what tells that it still is.

    Parameters
    ----------
    identity : Identity
        What it is, apart from its weights.
    watch : Watch
        Of all that was looked at.
    state : dict of str to Tensor
        Its weights, whose numbers nobody has looked at.
    """

    identity: Identity
    watch: Watch
    state: Mapping[str, Any]


_found: weakref.WeakKeyDictionary[nn.Module, Found] = weakref.WeakKeyDictionary()
keep(f"{__name__}._found", "your own networks", clear=_found.clear, size=_found.__len__)


def unmoved(module: nn.Module) -> Found | None:
    """Return what a module was found to be, if all that decides that is as it was."""
    found = _found.get(module)
    return found if found is not None and found.watch.is_still(module) else None


def look(module: nn.Module) -> Found:
    """Look at all of a module but its weights' numbers, and remember what was found."""
    watch = Watch(module)
    state = module.state_dict(keep_vars=True)
    found = Found(apart_from_weights(module, state, watch), watch, state)
    forget(module)
    if not all(map(_lists_its_tensors, module.modules())):
        watch.give_up()
    if watch.is_complete:
        while len(_found) >= _MOST:  # each may hold what its module no longer does
            _found.pop(next(iter(_found)), None)
        _found[module] = found
    return found


def apart_from_weights(
    module: nn.Module, state: Mapping[str, Any], watch: Watch | None = None
) -> Identity:
    """Say what a module is, apart from the numbers of its state dict."""
    apart = {id(tensor): name for name, tensor in state.items() if isinstance(tensor, Tensor)}
    return identity(module, apart=apart, watch=watch)


def forget(module: nn.Module) -> None:
    """Forget what was found."""
    _found.pop(module, None)


def _lists_its_tensors(module: nn.Module) -> bool:
    """Tell whether a module's state dict is what lies in it, and nothing is computed for it."""
    held: Any = vars(module)
    return (
        all(getattr(type(module), n) is getattr(nn.Module, n) and n not in held for n in _STATE)
        and not module._state_dict_hooks  # noqa: SLF001
        and not module._state_dict_pre_hooks  # noqa: SLF001
    )
