"""Items and a backbone → rows: devices, batches, and what computes them."""

from ._devices import resolve_devices, resolve_dtype, resolve_engine
from ._engine import embed, embed_one
from ._reading import Reading, is_out_of_memory
from ._runner import Runner
from ._runners import Runners
from ._warm_up import warm_up

__all__ = [
    "Reading",
    "Runner",
    "Runners",
    "embed",
    "embed_one",
    "is_out_of_memory",
    "resolve_devices",
    "resolve_dtype",
    "resolve_engine",
    "warm_up",
]
