"""A fork → a child that finds every lock free and every store whole."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What holds locks that a child must not inherit held."""

    def before_fork(self) -> None:
        """Take the locks, so that no thread is in the middle of a change."""

    def after_fork(self, *, in_child: bool) -> None:
        """Free them; a child has none of its parent's threads."""


_held_during_forks: weakref.WeakSet[Forkable] = weakref.WeakSet()
_forking = threading.RLock()
_held: list[Forkable] = []


def hold_during_forks(store: Forkable) -> None:
    """Let forks happen only while no thread is inside a store, and tell it of each."""
    _held_during_forks.add(store)


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
    else:
        _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(in_child=False),
        after_in_child=lambda: _after_fork(in_child=True),
    )
