"""Items and a backbone → rows: devices, batches, and what computes them."""

from ._devices import resolve_devices, resolve_dtype
from ._engine import Reading, embed

__all__ = ["Reading", "embed", "resolve_devices", "resolve_dtype"]
