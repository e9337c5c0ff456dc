"""Tensors → whether their numbers seem to be as they were, at next to no cost."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter, is_
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_SAMPLED = 16
_PLAIN = {Tensor, nn.Parameter, nn.Buffer}
_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_facts = attrgetter("_version", "dtype", "shape")  # what is on another device lies elsewhere


class Glanced:
    """What changes when tensors do, as far as that can be seen without reading them.

    Address, torch's own counter of changes, and a few numbers of each, since an edit through
    ``.data`` or NumPy is not counted.

    Parameters
    ----------
    state : dict of str to Tensor
        Which `of` has tried.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self._names, self._tensors = list(state), list(state.values())
        self._some: dict[int, list[NDArray[Any]]] = {}
        for tensor in self._tensors:
            size = tensor.element_size()
            if tensor.numel():
                flat = tensor.detach().reshape(-1).view(torch.uint8).numpy().view(_WORDS[size])
                step = max(1, len(flat) // _SAMPLED)
                self._some.setdefault(size, []).append(flat[::step])
        self._then = self._now()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self | None:
        """Glance at tensors; None where torch counts no changes, or their numbers lie elsewhere."""
        return cls(state) if all(map(_lies_open, state.values())) else None

    def is_still(self, state: Mapping[str, Any]) -> bool:
        """Tell whether these are the same tensors, and seem to be as they were."""
        return (
            list(state) == self._names
            and all(map(is_, state.values(), self._tensors))
            and self._now() == self._then
        )

    def _now(self) -> tuple[object, ...]:
        return (
            list(map(_facts, self._tensors)),
            list(map(Tensor.data_ptr, self._tensors)),
            all(map(Tensor.is_contiguous, self._tensors)),
            [np.concatenate(some).tobytes() for some in self._some.values()],
        )


def _lies_open(tensor: Any) -> bool:
    return (
        type(tensor) in _PLAIN
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_inference() or tensor.is_quantized)
        and not (tensor.is_conj() or tensor.is_neg())
        and tensor.is_contiguous()
        and tensor.element_size() in _WORDS
    )
