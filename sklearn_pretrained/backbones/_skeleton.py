"""A builder → a network without weights, or with random ones that a seed decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from .._process import in_children

_ALLOCATORS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
_RANDOM = {torch.Tensor.normal_, torch.Tensor.uniform_}
SEED = 0
_drawing = threading.RLock()  # torch's generator is one for all threads


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
    with _drawing, torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return builder()


@in_children
def _after_fork() -> None:
    """Give a forked child a lock that nobody holds."""
    global _drawing  # noqa: PLW0603  the parent may hold the old one
    _drawing = threading.RLock()
