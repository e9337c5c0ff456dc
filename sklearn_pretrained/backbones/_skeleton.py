"""A builder → a network without weights, or with random ones that a seed decides."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ..process import in_children, uninterrupted
from ..taps import as_by_default

_ALLOCATORS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
_RANDOM = {torch.Tensor.normal_, torch.Tensor.uniform_}
SEED = 0
_making = threading.RLock()


class Weightless(TorchFunctionMode):
    """Builds networks without memory for their weights, and computes all else for real.

    `torch.device("meta")` would also take away the small tensors that some builders compute
    widths from (RegNet) or keep as tables (Swin).
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _ALLOCATORS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        if func in _RANDOM and args[0].is_meta:  # takes its time there, for nothing
            return args[0]
        try:
            return func(*args, **kwargs)
        except RuntimeError:  # some operations do not take both kinds
            found = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
            if len({x.is_meta for x in found}) < 2:  # noqa: PLR2004
                raise
            args, kwargs = tree_map_only(Tensor, lambda x: x.to("meta"), (args, kwargs))
            return func(*args, **kwargs)


def random_network(builder: Callable[[], nn.Module]) -> nn.Module:
    """Build a network with random weights that are the same in every process."""

    def build() -> nn.Module:
        with one_at_a_time():
            while True:
                on_gpus = torch.cuda.is_initialized()
                with _seeded():
                    network = builder()
                # A builder that has begun to use a GPU drew from what was not seeded there.
                if torch.cuda.is_initialized() == on_gpus:
                    return network

    return uninterrupted(build)


@contextmanager
def _seeded() -> Iterator[None]:
    """Draw from a seed inside this context, and leave the user's generators as they were."""
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=gpus):
        # Not torch.manual_seed, which would seed devices that are not used yet for good.
        torch.default_generator.manual_seed(SEED)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(SEED)
        if torch.backends.mps.is_available():
            torch.mps.manual_seed(SEED)
        yield


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock that who makes a network holds, with nothing that the caller has set.

    torch's generator is one for all threads, and while transformers makes a network, it changes
    torch's initialisers and default dtype for the whole process, which another thread's network
    would take over. It is one lock, since a function that makes a network may use another one.
    """
    with _making, as_by_default():
        yield


@in_children
def _after_fork() -> None:
    """Give a forked child a lock that nobody holds."""
    global _making  # noqa: PLW0603  the parent may hold the old one
    _making = threading.RLock()
