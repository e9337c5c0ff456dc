"""Requests of one item that come at the same time → batches, and several of those at once.

Whoever finds nobody at a network computes at once, in his own thread. While others compute, he
waits, and what waits is computed together: in as many batches at the same time as there are
processors, since forwards that each have all threads wait for one another. Clients who are given
rows often ask again at once, so a thread waits a little for them before it takes the next batch:
the first of them alone would be a small one. Whoever gets no row that
way, or not soon, computes it as if he were alone, so that nothing that befalls a batch, or the
thread that runs it, reaches those who share it.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import torch

from ..exceptions import UnsteadyError
from ..process import ForkLock, in_children, remembered
from ._room import Room
from ._runner import Past, Underway
from ._streams import MOST, begin
from ._wishes import Wish, cut, grant, is_inside

_WORTH = 0.002
"""Seconds of a forward below which handing it to another thread takes too large a part of it."""
_PATIENCE = 1.0
_SLOWER = 4
"""A row is waited for so many times as long as the work ahead usually takes, and that second."""
_NEWS = 0.2
_PAUSE = 0.1
"""How long a batch is gathered, in parts of the time that the last one took."""
_LOOKS = 10
_to_renew: weakref.WeakSet[Together] = weakref.WeakSet()


class Together:
    """Who runs one network at the moment, for an item each, and who waits."""

    def __init__(self) -> None:
        self.renew()
        _to_renew.add(self)

    def renew(self) -> None:
        """Begin with nobody there."""
        self._lock = threading.Lock()
        self._running: dict[object, tuple[float, int]] = {}
        self._waiting: list[Wish] = []
        self._room = Room()
        self._least = self._usual = 0.0
        self._shares = True
        self._how = (1, 1, 1)

    def rows(self, wish: Wish, alone: Callable[[], list[Underway]]) -> list[Underway]:
        """Return a row from a batch of several, or compute it by itself.

        Parameters
        ----------
        wish : Wish
        alone : callable
            Computes the row in the caller's thread, and copes with what may go wrong.
        """
        if not wish.reading.recipe or is_inside() or not wish.runner.in_streams:
            return alone()
        token = object()
        if not self._begins(token, wish) and self._came(wish):
            return [wish]
        began = time.perf_counter()
        try:
            rows = alone()
            took = time.perf_counter() - began
            self._least = min(self._least or took, took)
        finally:
            self._leave(token)
        return rows

    def _begins(self, token: object, wish: Wish) -> bool:
        """Tell whether somebody may compute at once; let him wait otherwise."""
        how = _processors(torch.get_num_threads())
        with self._lock:
            is_free = not self._running or self._least < _WORTH or not self._shares
            if is_free:
                self._running[token] = time.perf_counter(), 1
            else:
                self._how = how
                self._waiting.append(wish)
        return is_free

    def _leave(self, token: object) -> None:
        """Note that a forward is over."""
        with self._lock:
            self._running.pop(token, None)
        self._invite()

    def _came(self, wish: Wish) -> bool:
        """Wait for a row, as long as it may take; tell whether it came."""
        try:
            with self._lock:
                ahead = len(self._waiting) + sum(n for _, n in self._running.values())
                limit = _PATIENCE + _SLOWER * ahead * (self._usual or self._least)
                since = time.perf_counter() - limit
                # Who was interrupted may have been unable to say that he has left.
                self._running = {t: (at, n) for t, (at, n) in self._running.items() if at > since}
            self._invite()
            wish.wait(limit)
        finally:
            with self._lock:
                if wish in self._waiting:
                    self._waiting.remove(wish)
        return wish.came

    def _invite(self) -> None:
        """Have what waits computed, if there is a processor for it."""
        if not self._waiting:
            return
        token = object()
        with self._lock:
            count, each, others = self._how
            if not self._waiting or len(self._running) >= count:
                return
            self._running[token] = time.perf_counter(), 0
        try:
            _pool(count, each, others).submit(self._serve, token)
        except RuntimeError:  # Python is ending, or can start no thread
            with self._lock:
                self._running.pop(token, None)
                waiting, self._waiting = self._waiting, []
            for wish in waiting:
                wish.give(None)

    def _serve(self, token: object) -> None:
        """Compute for those who wait, once: afterwards it is the turn of other networks, too."""
        began = time.perf_counter()
        wishes, share = self._next(token)
        try:
            whole = [self._granted(batch) for batch in cut(wishes)]
            if whole and all(whole):
                took = time.perf_counter() - began
                each = took / len(wishes)
                self._usual += _NEWS * (each - self._usual) if self._usual else each
                self._gather(share, _PAUSE * took)
        finally:
            for wish in wishes:
                wish.give(None)
            self._leave(token)

    def _gather(self, share: int, seconds: float) -> None:
        """Wait a little until so many wait, where that is more than one."""
        until = time.perf_counter() + seconds
        while share > 1 and len(self._waiting) < share and time.perf_counter() < until:
            time.sleep(seconds / _LOOKS)

    def _next(self, token: object) -> tuple[list[Wish], int]:
        """Take from the first on those who wait, at most a fair share, and say what that is."""
        with self._lock:
            if not self._waiting:
                return [], 0
            about = len(self._waiting) + sum(n for _, n in self._running.values())
            share = -(-about // self._how[0])
            share = min(share, self._room.most or share)
            alike = [wish for wish in self._waiting if wish.is_like(self._waiting[0])]
            taken = alike[:share]
            self._waiting = [wish for wish in self._waiting if wish not in taken]
            self._running[token] = time.perf_counter(), len(taken)
        return taken, share

    def _granted(self, wishes: list[Wish]) -> bool:
        """Compute a batch, or its halves where it fails; tell whether it came as a whole."""
        is_tried = self._room.holds(len(wishes))
        if is_tried and self._came_whole(wishes):
            return True
        if len(wishes) > 1 and self._shares:
            half = len(wishes) // 2
            whole = [self._granted(part) for part in (wishes[:half], wishes[half:])]
            # Where a half fails too, an item may be the cause, and not how many there were.
            if is_tried and all(whole):
                with self._lock:
                    self._room.ran_out(len(wishes))
        return False

    def _came_whole(self, wishes: list[Wish]) -> bool:
        try:
            grant(wishes)
        except UnsteadyError:
            self._shares = False
            return False
        except BaseException:  # raised again by whose own row it is
            return False
        with self._lock:
            self._room.fitted(len(wishes))
        return True


def together(past: Past) -> Together:
    """Return who runs the network that this is the past of."""
    if past.together is None:
        with _making():
            past.together = past.together or Together()
    found: Together = past.together
    return found


@remembered("processors that requests may use")
def _processors(threads: int) -> tuple[int, int, int]:
    """Return how many batches run at the same time, on how many threads, beside how many."""
    # Where a forward has one thread, as many run at the same time as there are requests.
    cores = max(1, joblib.cpu_count())
    cores = cores if threads == 1 else min(cores, threads)
    count = min(cores, MOST)
    return count, cores // count, threads


@remembered("threads that run requests together")
def _pool(count: int, each: int, others: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "together", begin, (each, others))


_making = ForkLock()


@in_children
def _forget() -> None:
    """Begin anew in a child, which has none of its parent's threads."""
    memo: Any = _pool
    memo.cache_clear()
    for one in list(_to_renew):
        one.renew()
