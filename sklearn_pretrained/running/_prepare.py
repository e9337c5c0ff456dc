"""Items → windows of samples that are ready for the network, made ahead by other threads."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..backbones import Backbone
from ..exceptions import BadItemError

OnBad = Callable[[int, BadItemError], None]


def windows(
    items: Any,
    positions: Sequence[int],
    backbone: Backbone,
    batch_size: int | str,
    on_bad: OnBad,
    *,
    threads: int,
    parts: int = 1,
) -> Iterator[tuple[list[int], list[Any]]]:
    """Yield positions with their samples, in order, without those that cannot be read.

    Threads prepare ahead, only one where the backbone's preparation is not safe in several. The
    first window has something for each of the ``parts`` that run at the same time.
    """
    if not backbone.prepares_concurrently:
        threads = 1
    return _ahead(
        (
            functools.partial(prepared, items, window, backbone, on_bad)
            for window in _cut(positions, backbone, batch_size, parts)
        ),
        threads,
    )


def _cut(
    positions: Sequence[int], backbone: Backbone, batch_size: int | str, parts: int
) -> Iterator[Sequence[int]]:
    """Cut positions into windows that grow to their full size, and hold whole batches."""
    step = 1 if batch_size == "auto" else int(batch_size)
    first = min(backbone.first_window * parts, backbone.window)
    size, most = (-(-n // step) * step for n in (first, backbone.window))
    start = 0
    while start < len(positions):
        yield positions[start : start + size]
        start += size
        size = min(2 * size, most)


def prepared(
    items: Any, window: Sequence[int], backbone: Backbone, on_bad: OnBad
) -> tuple[list[int], list[Any]]:
    """Load a window's items and turn them into samples, without those that cannot be read.

    That goes portion by portion, since decoded photographs need far more memory than samples.
    """
    good, samples = [], []
    for start in range(0, len(window), backbone.portion):
        loaded, contents = [], []
        for position in window[start : start + backbone.portion]:
            try:
                contents.append(items.load(position))
            except BadItemError as error:
                on_bad(position, error)
            else:
                loaded.append(position)
        for position, sample in zip(loaded, backbone.prepare(contents), strict=True):
            if isinstance(sample, BadItemError):
                on_bad(position, sample)
            else:
                good.append(position)
                samples.append(sample)
    return good, samples


def _ahead(tasks: Iterator[Callable[[], Any]], threads: int) -> Iterator[Any]:
    """Yield the tasks' results in order, while each thread already works on a later one."""
    first, second = next(tasks, None), next(tasks, None)
    if first is not None and second is None:  # nothing to be ahead of, as for a service's one row
        yield first()
        return
    tasks = itertools.chain(filter(None, (first, second)), tasks)
    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
