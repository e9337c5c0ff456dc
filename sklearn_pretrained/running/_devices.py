"""What ``device``, ``dtype`` and ``engine`` say → what is there, and fits together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import torch

from ..process import need
from .eager.fast import is_native


def resolve_devices(device: Any) -> list[torch.device]:
    """Turn a ``device`` parameter into devices that are there.

    Parameters
    ----------
    device : str, torch.device or sequence of them
    """
    if isinstance(device, str | torch.device):
        return [_resolve(device)]
    found = [_resolve(name) for name in device]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"device={device!r} must name at least one device, and each only once.")
    return found


_COUNTS: dict[str, Callable[[], int]] = {
    "cpu": lambda: 1,
    "cuda": lambda: int(torch.cuda.device_count()),
    "mps": lambda: int(torch.backends.mps.is_available()),
}
"""How many devices of a kind there are; no others can be used."""


def _resolve(named: Any) -> torch.device:
    # A member of a str enum is its value.
    device = str.__str__(named) if isinstance(named, str) else str(named)
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a valid device; use 'auto', 'cpu', 'cuda', "
            "'cuda:1' or 'mps'."
        ) from error
    there = _COUNTS.get(wanted.type, int)()
    if (wanted.index or 0) >= there:
        raise ValueError(
            f"device={device!r} is not available: this machine has {there} {wanted.type} "
            "devices. device='auto' selects the best available one."
        )
    return wanted


def resolve_dtype(dtype: str, devices: Sequence[torch.device], engine: str = "torch") -> str:
    """Turn a ``dtype`` parameter into a precision that devices and engine are any good at."""
    if dtype == "auto":
        native = all(is_native(torch.bfloat16, device) for device in devices)
        dtype = "bfloat16" if native else "float32"
    resolve_engine(engine, dtype, devices)
    if dtype == "float16" and any(device.type == "cpu" for device in devices):
        raise ValueError(
            "dtype='float16' on a CPU is hundreds of times slower than float32, because CPUs have "
            "no float16 instructions. Use dtype='bfloat16', or a GPU."
        )
    return str.__str__(dtype)


def resolve_engine(engine: str, dtype: str, devices: Sequence[torch.device]) -> str:
    """Turn an ``engine`` parameter into one that can compute on the devices in that precision.

    Parameters
    ----------
    engine : {"torch", "openvino", "auto"}
    dtype : str
        As `resolve_dtype` returns it.
    devices : sequence of torch.device
    """
    if engine == "torch":
        return engine
    fits = [device.type for device in devices] == ["cpu"] and dtype == "float32"
    if engine == "auto":
        return engine if fits and find_spec("openvino") else "torch"
    need("openvino", install="sklearn-pretrained[openvino]", purpose="engine='openvino'")
    if not fits:
        raise ValueError(
            "engine='openvino' computes on a CPU in float32, but the network runs on "
            f"{' and '.join(map(str, devices))} in {dtype}. Use device='cpu' and dtype='float32', "
            "or engine='torch'."
        )
    return engine
