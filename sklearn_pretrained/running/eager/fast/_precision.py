"""A precision and a device → whether its instructions multiply in that precision."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from ....process import in_children
from ....taps import without_autocast

_BFLOAT16_ON_CUDA = 8  # compute capability, the Ampere generation


def is_native(dtype: torch.dtype, device: torch.device) -> bool:
    """Say whether a device computes in a precision itself, rather than through another one.

    Elsewhere reduced precision is slower than float32, on a CPU by a factor of ten and more.
    """
    if dtype == torch.float32:
        return True
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)[0]
        return dtype == torch.float16 or capability >= _BFLOAT16_ON_CUDA
    if device.type == "cpu" and dtype == torch.bfloat16:
        # private to torch, and missing where it has no name for them
        asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        found: list[Any] = [getattr(torch.cpu, name, bool) for name in asked]
        return any(ask() for ask in found)
    return False


_FULL = {"none", "ieee"}
_all: Any = torch.backends
_onednn: Any = torch.backends.mkldnn
_MULTIPLIERS: tuple[Any, ...] = (
    *(_all, _onednn, _onednn.matmul, _onednn.conv, _onednn.rnn),
    torch.backends.cuda.matmul,
)
"""What `torch.set_float32_matmul_precision` and `torch.backends` let round float32.

Each of those behind takes its precision from those before unless it has one of its own.
"""


def _unrounded() -> AbstractContextManager[Any]:
    # One after the other, without what a generator takes: rows of small networks take microseconds.
    for one in _MULTIPLIERS:
        if one.fp32_precision not in _FULL:
            return _unround()
    return _free


@contextlib.contextmanager
def _unround() -> Iterator[None]:
    found: list[tuple[Any, str]] = []
    try:
        # From the first on, so that only what has a precision of its own is given one.
        for one in _MULTIPLIERS:
            precision = one.fp32_precision
            if precision not in _FULL:
                found.append((one, precision))
                one.fp32_precision = "ieee"
        yield
    finally:
        for one, precision in reversed(found):
            one.fp32_precision = precision


@contextlib.contextmanager
def _unrounded_on_gpus() -> Iterator[None]:
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
        yield


class _Exact:
    """Keeps float32 from being rounded while any thread is inside; the flags are torch's.

    The last one to leave brings back what the first one found.

    Parameters
    ----------
    exactly : callable
        Makes the context that changes the flags.
    """

    def __init__(self, exactly: Callable[[], AbstractContextManager[Any]]) -> None:
        self._exactly = exactly
        self._begin()

    def renew(self) -> None:
        """Bring back what the first one found, and begin with nobody inside."""
        if self._inside:
            self._found.__exit__(None, None, None)
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._found: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._found = self._exactly()
                self._found.__enter__()
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._found.__exit__(None, None, None)


_free: AbstractContextManager[Any] = contextlib.nullcontext()
_exact, _exact_on_gpus = _Exact(_unrounded), _Exact(_unrounded_on_gpus)


def full_precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Return what keeps a network's own precision: float32 is not rounded, and autocast is off."""
    off = without_autocast()
    needed = [] if isinstance(off, contextlib.nullcontext) else [off]
    if dtype == torch.float32:
        needed += [_exact, _exact_on_gpus] if device.type == "cuda" else [_exact]
    return needed[0] if len(needed) == 1 else _all_of(needed)


@contextlib.contextmanager
def _all_of(contexts: Sequence[AbstractContextManager[Any]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for one in contexts:
            stack.enter_context(one)
        yield


@in_children
def _after_fork() -> None:
    """Give a forked child, in which nobody computes yet, the caller's flags and free locks."""
    _exact.renew()
    _exact_on_gpus.renew()
