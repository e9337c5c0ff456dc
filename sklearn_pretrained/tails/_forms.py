"""What a submodule gave over batches of several sizes → its like for any size, at no cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Size = tuple[int, int]
"""Items in a batch, and their length; 1 where items have no length of their own."""


@dataclass(frozen=True)
class Form:
    """Shape and type of a tensor.

    Parameters
    ----------
    dims : tuple of tuple of float
        For each axis what it is made of: a constant, so much for each item, so much for each place
        of an item, and so much for each place of each item.
    dtype : torch.dtype
    """

    dims: tuple[tuple[float, ...], ...]
    dtype: torch.dtype

    def filled(self, size: Size, value: float, device: torch.device, *, cheap: bool) -> Tensor:
        """Make a tensor of this form; a cheap one is one number, seen everywhere."""
        shape = [round(float(np.dot(dim, _terms(size)))) for dim in self.dims]
        number = torch.tensor(value if self.dtype.is_floating_point else 0, device=device)
        spread = number.to(self.dtype).expand(shape)
        return spread if cheap else spread.contiguous()


def _terms(size: Size) -> tuple[int, int, int, int]:
    n, length = size
    return 1, n, length, n * length


def rebuilt(value: Any, change: Callable[[Any], Any], kind: type | tuple[type, ...]) -> Any:
    """Copy what a submodule gave, with each part of a kind changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        parts = {name: rebuilt(part, change, kind) for name, part in value.items()}
        return parts if type(value) is dict else type(value)(**parts)
    if isinstance(value, list | tuple):
        listed = [rebuilt(part, change, kind) for part in value]
        return type(value)(*listed) if hasattr(value, "_fields") else type(value)(listed)
    return value


def shapes(value: Any) -> Any:
    """Keep of each tensor its shape and type alone."""
    return rebuilt(value, lambda x: Form(tuple((n, 0, 0, 0) for n in x.shape), x.dtype), Tensor)


def forms(values: Sequence[Any], sizes: Sequence[Size]) -> Any:
    """Find out of shapes over batches of several sizes how they go with the size."""
    found = [iter(_parts(value)) for value in values]

    def fit(_first: Form) -> Form:
        seen = [next(parts) for parts in found]
        if len({(len(form.dims), form.dtype) for form in seen}) > 1:
            raise ValueError("a submodule returns a different structure for another batch size")
        terms = np.array([_terms(size) for size in sizes], float)
        lengths = np.array([[dim[0] for dim in form.dims] for form in seen], float)
        weights = np.linalg.lstsq(terms, lengths, rcond=None)[0].T
        return Form(tuple(tuple(row) for row in weights), seen[0].dtype)

    return rebuilt(values[0], fit, Form)


def _parts(value: Any) -> list[Form]:
    parts: list[Form] = []
    rebuilt(value, parts.append, Form)
    return parts


def with_first(value: Any, tensor: Tensor) -> Any:
    """Copy what a submodule gave or was given, with another tensor as the first one in it."""
    pending = [tensor]
    return rebuilt(value, lambda x: pending.pop() if pending else x, Tensor)
