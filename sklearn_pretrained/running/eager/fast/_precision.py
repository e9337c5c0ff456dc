"""A precision and a device → whether its instructions multiply in that precision."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

from ...._autocast import without_autocast

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


class _Exact:
    """Keeps float32 from being rounded to TF32 while any thread is inside; the flags are torch's.

    The last one to leave brings back what the first one found.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._found: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                flags = torch.backends.cudnn.flags
                self._found = flags(enabled=True, benchmark=False, allow_tf32=False)
                self._found.__enter__()
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._found.__exit__(None, None, None)


_exact = _Exact()


@contextlib.contextmanager
def full_precision(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Keep a network's own precision: float32 is not rounded to TF32, and autocast is off."""
    with without_autocast():
        if device.type != "cuda" or dtype != torch.float32:
            yield
            return
        with _exact:
            yield
