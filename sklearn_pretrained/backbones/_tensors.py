"""A tensor → its numbers as bytes, or a glance that costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_GLANCED = 16


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


def glance(tensors: Iterable[tuple[str, Tensor]]) -> tuple[object, ...] | None:
    """Return what changes when tensors do, as far as that can be seen without reading them.

    Identity, address, torch's own counter of changes, and a few numbers of each, since an edit
    through ``.data`` or NumPy is not counted. None where torch counts no changes.
    """
    seen: list[object] = []
    for name, tensor in tensors:
        if tensor.is_inference() or not tensor.is_contiguous() or tensor.is_meta:
            return None
        flat = tensor.detach().view(-1)
        some = flat[:: max(1, len(flat) // _GLANCED)].contiguous().view(torch.uint8).cpu()
        counted = tensor._version  # noqa: SLF001
        where = (name, id(tensor), tensor.data_ptr(), tensor.dtype, tensor.shape)
        seen.append((*where, counted, some.numpy().tobytes()))
    return tuple(seen)
