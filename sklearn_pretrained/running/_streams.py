"""Batches → their rows, several batches at the same time, each on a thread of its own.

All threads on one batch wait for the slowest of them at every layer: on a busy machine that is the
one whose core another process is using. Streams share nothing but the work: each takes the next
batch when it is free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Self

import joblib
import numpy as np
import torch
from numpy.typing import NDArray

from ..process import in_children, remembered
from ._reading import joined
from ._runner import Runner, Underway

MOST = 16
"""Streams of a process, so that the activations of many cores' batches stay bounded."""
_SENT = 2
"""Batches for each stream that may be on their way, so that a slow one holds up no other."""
_MOST_FEEDERS = 8
_STREAMS_FED = 4
"""How many streams one thread that decodes images can feed."""
Rows = NDArray[np.float32]


class Streams:
    """The threads that send one request's batches through its network.

    Parameters
    ----------
    runners : sequence of Runner
    n : int, default=2
        How many items come; one needs no threads.
    """

    def __init__(self, runners: Sequence[Runner], n: int = 2) -> None:
        self._gpus = sum(runner.device.type == "cuda" for runner in runners)
        in_streams = n > 1 and len(runners) == 1 and runners[0].in_streams
        self._threads = _threads() if in_streams else 1
        self.count = min(self._threads, MOST)
        self._futures: set[Future[Rows]] = set()
        self._used = False

    @property
    def feeders(self) -> int:
        """Threads that prepare: a GPU would wait for one, processors are busy with the network."""
        wanted = torch.get_num_threads() if self._gpus else self.count // _STREAMS_FED
        return max(1, min(_MOST_FEEDERS, wanted))

    @property
    def most_underway(self) -> int:
        """Batches whose rows need not be waited for."""
        return _SENT * self.count if self._used else self._gpus

    def send(
        self, run: Callable[[], Underway], again: Callable[[], list[Underway]], n_batches: int
    ) -> list[Underway]:
        """Run a batch, in a stream unless it is the only one.

        Parameters
        ----------
        run : callable
            Sends the batch through the network, in any thread.
        again : callable
            Does it in the caller's thread, which copes with what may go wrong.
        n_batches : int
            How many batches are ready to be sent.
        """
        if self.count == 1 or (n_batches == 1 and not self._used):
            return again()
        self._used = True
        pool = _pool(self.count, self._threads // self.count, torch.get_num_threads())
        future = pool.submit(_finished, run)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return [_Sent(future, again)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        # Where the request ends early, its batches do too.
        wait([future for future in list(self._futures) if not future.cancel()])


class _Sent:
    """Rows that a stream computes."""

    def __init__(self, future: Future[Rows], again: Callable[[], list[Underway]]) -> None:
        self._future, self._again = future, again
        self._rows: Rows | None = None

    def here(self) -> Rows:
        """Wait for the rows; what failed is done again, in the thread that waits."""
        if self._rows is None:
            try:
                self._rows = self._future.result()
            except Exception:  # raised again, if it is
                self._rows = joined(self._again())
        return self._rows


def _finished(run: Callable[[], Underway]) -> Rows:
    return run().here()


def _threads() -> int:
    # Containers limit the processors' time, of which torch does not know.
    return max(1, min(torch.get_num_threads(), joblib.cpu_count()))


@remembered("threads that run batches")
def _pool(count: int, threads: int, others: int) -> ThreadPoolExecutor:
    """Return ``count`` streams of so many threads each, which all requests share."""
    return ThreadPoolExecutor(count, "stream", begin, (threads, others))


def begin(threads: int, others: int) -> None:
    """Let this thread compute with so many of torch's, and leave ``others`` to later threads."""
    torch.get_num_threads()  # sets a thread's number, the first time
    torch.set_num_threads(threads)
    # That number is a thread's own, but the last one set is also what later threads begin with.
    keeper = threading.Thread(target=torch.set_num_threads, args=(others,))
    keeper.start()
    keeper.join()


@in_children
def _forget() -> None:
    """Forget threads that only the parent has."""
    memo: Any = _pool
    memo.cache_clear()
