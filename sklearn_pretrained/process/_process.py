"""What this process keeps and changes: one register of stores, one way to empty them, and forks.

Whatever outlives a call is registered here, so that `release` empties it and a forked child finds
every lock free and every store whole.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kept:
    """One store of this process.

    Parameters
    ----------
    holds : str
        What is in it, in a user's words.
    clear : callable
        Empties it; what it held is made again when it is needed.
    size : callable
        Counts its entries.
    """

    holds: str
    clear: Callable[[], object]
    size: Callable[[], int]


_stores: dict[str, Kept] = {}
_changes: dict[str, str] = {}


def keep(name: str, holds: str, *, clear: Callable[[], object], size: Callable[[], int]) -> None:
    """Register a store under the dotted name of its module and variable."""
    _stores[name] = Kept(holds, clear, size)


def remembered(holds: str, *, maxsize: int | None = None) -> Callable[[F], F]:
    """Remember what a function returned, at most ``maxsize`` times, in a registered store."""

    def decorate(function: F) -> F:
        memo: Any = functools.lru_cache(maxsize=maxsize)(function)
        keep(
            f"{function.__module__}.{function.__qualname__}",
            holds,
            clear=memo.cache_clear,
            size=lambda: memo.cache_info().currsize,
        )
        return memo

    return decorate


def once(change: str) -> Callable[[F], F]:
    """Run a function once in a process, since it changes the process itself; say how."""

    def decorate(function: F) -> F:
        memo: Any = functools.cache(function)

        def changing() -> Any:
            _changes[f"{function.__module__}.{function.__qualname__}"] = change
            return memo()

        return functools.wraps(function)(changing)  # type: ignore[return-value]

    return decorate


def kept() -> dict[str, Kept]:
    """Return every store of this process, by name."""
    return dict(_stores)


def changes() -> dict[str, str]:
    """Return what was changed in the process itself so far, by who did it."""
    return dict(_changes)


def release() -> None:
    """Free what this process keeps: loaded networks, rows in memory, plans, tokenizers.

    Estimators stay as they are; what they need is loaded again at the next use. Files, such as
    those of `FeatureCache`, keep their rows.

    See Also
    --------
    memory_cache : The rows in memory alone.

    Examples
    --------
    >>> from sklearn_pretrained import release
    >>> release()
    """
    for store in kept().values():
        store.clear()
    give_back_memory()


def give_back_memory() -> None:
    """Collect what refers to itself, and let glibc return the pages that it keeps for later.

    Hooks and forwards refer to the modules that hold them, and Python looks for such circles when
    there are many objects, not when they are large. Other C libraries return pages by themselves.
    """
    gc.collect()
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


# -- forks


class Forkable(Protocol):
    """What holds locks that a child must not inherit held."""

    def before_fork(self) -> None:
        """Take the locks, so that no thread is in the middle of a change."""

    def after_fork(self, *, in_child: bool) -> None:
        """Free them; a child has none of its parent's threads."""


_held_during_forks: weakref.WeakSet[Forkable] = weakref.WeakSet()
_in_children: list[Callable[[], object]] = []
_forking = threading.RLock()
_held: list[Forkable] = []


def hold_during_forks(store: Forkable) -> None:
    """Let forks happen only while no thread is inside a store, and tell it of each."""
    _held_during_forks.add(store)


class ForkLock:
    """A lock that forks wait for, and that nobody holds in a child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        hold_during_forks(self)

    def __call__(self) -> AbstractContextManager[Any]:
        """Return what to hold, which a fork inside may leave behind in the child."""
        return self._lock

    def before_fork(self) -> None:
        """Wait until nobody holds it."""
        self._lock.acquire()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on, in the child with a lock of its own."""
        if in_child:
            self._lock = threading.RLock()
        else:
            self._lock.release()


def in_children(renew: F) -> F:
    """Call a function in each forked child, before anything else runs there."""
    _in_children.append(renew)
    return renew


def _before_fork() -> None:
    _forking.acquire()
    for store in list(_held_during_forks):
        store.before_fork()
        _held.append(store)


def _after_fork(*, in_child: bool) -> None:
    global _forking  # noqa: PLW0603
    for store in _held:
        store.after_fork(in_child=in_child)
    _held.clear()
    if in_child:
        _forking = threading.RLock()
        for renew in _in_children:
            renew()
    else:
        _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(in_child=False),
        after_in_child=lambda: _after_fork(in_child=True),
    )
