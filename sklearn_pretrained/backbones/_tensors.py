"""A tensor → its numbers as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def feed(tensor: Tensor, update: Callable[[Any], Any]) -> None:
    """Give a tensor's numbers to a hash, in the order of its indices.

    Raises whatever torch raises where a tensor's numbers do not lie open.
    """
    plain = tensor.detach()
    if plain.is_meta:
        return
    if plain.is_sparse:
        plain = plain.coalesce()
        feed(plain.indices(), update)
        plain = plain.values()
    if plain.is_quantized:
        raise TypeError("a quantised tensor does not consist of plain numbers")
    dense = plain.resolve_conj().resolve_neg().cpu().contiguous()
    update(dense.reshape(-1).view(torch.uint8).numpy().data)
