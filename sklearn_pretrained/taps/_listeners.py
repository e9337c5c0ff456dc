"""A module → the listeners that see its inputs and outputs, in their own thread only.

Hooks belong to a network, forwards to a thread. So the hooks are put on a module once, stay there,
and ask who listens to the forward that they find themselves in: several threads run one network at
the same time, each hears its own, and an interrupt has nothing to leave behind.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

# torch's own keys are numbers. A key of one's own makes putting a hook one assignment, which may
# be done twice, by two threads, or be interrupted.
_KEY = "sklearn_pretrained"


@dataclass(frozen=True)
class Listener:
    """What to call with a module and what it is given, or with a module and what it gives."""

    before: Callable[[nn.Module, Any, Any], None] | None = None
    after: Callable[[nn.Module, Any], None] | None = None


class _Thread(threading.local):
    listeners: Mapping[int, Listener] = {}


_thread = _Thread()


def _listener_of(module: nn.Module) -> Listener | None:
    # torch.export runs stand-ins of a network's modules, which share their attributes.
    return _thread.listeners.get(id(vars(module)))


def _before(module: nn.Module, args: Any, kwargs: Any) -> None:
    listener = _listener_of(module)
    if listener is not None and listener.before is not None:
        listener.before(module, args, kwargs)


def _after(module: nn.Module, _args: Any, output: Any) -> None:
    listener = _listener_of(module)
    if listener is not None and listener.after is not None:
        listener.after(module, output)


@contextlib.contextmanager
def listening(listeners: Mapping[nn.Module, Listener]) -> Iterator[None]:
    """Listen to these modules, and to no others, in what this thread runs inside the context."""
    for module, listener in listeners.items():
        if listener.before is not None:
            module._forward_pre_hooks_with_kwargs[_KEY] = True  # type: ignore[index]
            module._forward_pre_hooks[_KEY] = _before  # type: ignore[index]
        if listener.after is not None:
            module._forward_hooks[_KEY] = _after  # type: ignore[index]
    outer = _thread.listeners
    try:
        _thread.listeners = {id(vars(module)): one for module, one in listeners.items()}
        yield
    finally:
        _thread.listeners = outer


def forget(network: nn.Module) -> None:
    """Take the hooks off a network that no other thread knows of."""
    for module in network.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            hooks.pop(_KEY, None)  # type: ignore[call-overload]


def is_input_read(module: nn.Module) -> bool:
    """Say whether somebody in this thread sees what the module is given."""
    listener = _listener_of(module)
    return (listener is not None and listener.before is not None) or _has_more(
        module._forward_pre_hooks
    )


def is_output_read(module: nn.Module) -> bool:
    """Say whether somebody in this thread sees what the module gives."""
    listener = _listener_of(module)
    return (listener is not None and listener.after is not None) or _has_more(module._forward_hooks)


def is_plain(module: nn.Module) -> bool:
    """Say whether a module does what its class does, no more and no less."""
    return not (
        _has_more(module._forward_pre_hooks)
        or _has_more(module._forward_hooks)
        or "forward" in vars(module)
    )


def is_changed_behind(module: nn.Module) -> bool:
    """Say whether others may change what a module gives, once its forward is over."""
    return _has_more(module._forward_hooks)


def _has_more(hooks: Mapping[Any, Any]) -> bool:
    """Say whether a module has hooks besides those of this file."""
    return len(hooks) > (_KEY in hooks)
