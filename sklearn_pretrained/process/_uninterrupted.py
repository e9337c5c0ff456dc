"""Work that an interrupt must not break → the same, in a thread that receives no interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

NAME = "sklearn-pretrained-load"
Result = TypeVar("Result")


def uninterrupted(work: Callable[[], Result]) -> Result:
    """Do the work to its end, and return what it gives or raise what it raises.

    Ctrl-C arrives in the main thread. There it may come while torch or transformers leave a
    context, such as that of the meta device, in which the thread then stays for good. So the main
    thread only waits; if it is interrupted, the work ends in vain. Locks that the work needs are
    taken by the work: one that the main thread held meanwhile would be waited for without end.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    done: list[Result] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            done.append(work())
        except BaseException as error:
            errors.append(error)

    # A thread of an executor would wait for more work, and Python at its exit for the thread, where
    # an interrupt came before the executor had taken note of it. To wait for a future is not safe
    # either: an interrupted condition may raise RuntimeError.
    thread = threading.Thread(target=do, name=NAME)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return done[0]
