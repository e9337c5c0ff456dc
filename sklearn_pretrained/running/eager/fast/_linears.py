"""Linear layers on a CPU → the same layers through oneDNN, where that is measured to be faster.

PyTorch hands float32 matrix products to MKL, which takes a slow path on processors that are not
Intel's; oneDNN, which PyTorch brings as well, does not. Its operators are private to PyTorch, so
they are tried before they are trusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ....process import remembered
from ....recipe import precision_of
from ..._distance import distance

# Rows for which oneDNN lays weights out; other numbers of rows work as well.
ROWS = 1024
# How much faster oneDNN must be than MKL to be worth a second copy of the weights.
WORTH = 1.3
_TRIED = (torch.float32, torch.bfloat16)
_SIZE = 768
_RUNS = 9

Linear = Callable[[Tensor], Tensor]


def packed(weight: Tensor, bias: Tensor | None) -> Linear:
    """Return x → x·weightᵀ + bias, with a copy of the weights laid out for oneDNN."""
    laid_out = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
    run = torch.ops.mkldnn._linear_pointwise
    constant = None if bias is None else bias.detach()

    def linear(x: Tensor) -> Tensor:
        return run(x, laid_out, constant, "none", [], "")

    return linear


@remembered("what was tried on this machine")
def is_there(dtype: torch.dtype = torch.float32) -> bool:
    """Try oneDNN's operators on a small layer; a release of torch may move or change them."""
    if dtype not in _TRIED or not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(*shape, generator=generator).to(dtype)
        for shape in ((2, 5, 24), (16, 24), (16,))
    )
    try:
        with torch.inference_mode():
            plain = nn.functional.linear(x, weight, bias)
            pairs = [
                (packed(weight, bias)(x), plain),
                (packed(weight, None)(x[0]), nn.functional.linear(x[0], weight)),
            ]
    except (RuntimeError, AttributeError, TypeError):
        return False
    return all(
        ours.shape == right.shape and distance(ours, right) < precision_of(dtype).kernel
        for ours, right in pairs
    )


def _race(x: Tensor, rivals: Sequence[Linear]) -> list[float]:
    """Return the seconds that each rival takes at best."""
    best = [float("inf")] * len(rivals)
    for _ in range(_RUNS):
        for i, rival in enumerate(rivals):
            started = time.perf_counter()
            rival(x)
            best[i] = min(best[i], time.perf_counter() - started)
    return best


@remembered("what was tried on this machine")
def is_worth_it(dtype: torch.dtype = torch.float32) -> bool:
    """Race oneDNN against what PyTorch would do, for some milliseconds, once in a process."""
    if not is_there(dtype):
        return False
    with torch.inference_mode():
        x, weight = torch.ones(_SIZE, _SIZE, dtype=dtype), torch.ones(_SIZE, _SIZE, dtype=dtype)
        plain: Linear = lambda x: nn.functional.linear(x, weight)  # noqa: E731  a rival
        ours, theirs = _race(x, (packed(weight, None), plain))
    return ours * WORTH < theirs


def prepack(network: nn.Module) -> None:
    """Run a network's linear layers through oneDNN.

    Each keeps its name, its hooks and its own weights; only its ``forward`` is another. A layer is
    laid out when it is first run, so that loading waits for none, and one that no forward reaches
    takes no memory.

    Parameters
    ----------
    network : nn.Module
        Frozen, on a CPU.
    """
    for module in network.modules():
        # A subclass may do something else.
        if type(module) is nn.Linear and module.weight.dtype in _TRIED:
            module.forward = _packed_at_first(module)  # type: ignore[method-assign,assignment]


def _packed_at_first(module: nn.Linear) -> Linear:
    made: list[Linear] = []

    def forward(x: Tensor) -> Tensor:
        if not made:
            made.append(packed(module.weight, module.bias))
        return made[0](x)

    return forward
