"""A backbone → its loaded network: one of each in a process, however many estimators use it."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from ...backbones import key_of_hooks, one_at_a_time
from ...backbones._backbone import Backbone
from ...exceptions import WeightsError, pinned_were
from ...process import give_back_memory, in_children, keep, uninterrupted
from ._loaded import Arrangement, LoadedNetwork
from .fast import fast_paths, speed_up
from .packed import find_packing, padding_shows

MOST_NETWORKS = 4
"""Networks kept loaded on each device; the least recently used one goes first."""


_loaded: OrderedDict[tuple[str, ...], LoadedNetwork] = OrderedDict()
_has_loaded = False
"""Whether this process ever loaded a network, and torch has begun to compute in threads."""


def load(
    backbone: Backbone, device: torch.device, dtype: torch.dtype, pinned: str
) -> LoadedNetwork:
    """Return the loaded network; the weights must have the digest that was pinned."""
    _check_pinned(backbone, pinned)
    # What is learned of it, such as that rows are steady, holds under the hooks of now alone.
    how = (key_of_hooks(), str(device), str(dtype), str(fast_paths()))
    key = (*_what(backbone), pinned, *how)

    with contextlib.suppress(KeyError):  # without waiting for what another thread loads
        _loaded.move_to_end(key)
        return _loaded[key]

    def make() -> LoadedNetwork:
        with one_at_a_time():
            network = _loaded.get(key)
            if network is None:
                network = _make(backbone, device, dtype)
                # What was read while it was loaded may have changed since it was looked at.
                _check_pinned(backbone, pinned)
                if (*_what(backbone), pinned, *how) != key:
                    raise WeightsError(
                        f"{backbone.name} changed while it was loaded: the function that makes it "
                        "returns a different network each time, or it was modified meanwhile. It "
                        "must return the same network each time; change that, and fit again."
                    )
                _put(key, network)
            return network

    return uninterrupted(make)


def again(key: tuple[str, ...]) -> LoadedNetwork | None:
    """Return what `load` would for a backbone that is as it was; None where it has to load."""
    network = _loaded.get(key)
    if network is None or key[-4] != key_of_hooks() or key[-1] != str(fast_paths()):
        return None
    with contextlib.suppress(KeyError):
        _loaded.move_to_end(key)
    return network


def _put(key: tuple[str, ...], network: LoadedNetwork) -> None:
    global _has_loaded  # noqa: PLW0603  a child that is forked later must know
    _has_loaded = True
    _loaded[key], network.key = network, key
    alike = [other for other in [*_loaded] if other[-3] == key[-3]]
    for other in alike[:-MOST_NETWORKS]:
        _loaded.pop(other, None)
        give_back_memory()


def _what(backbone: Backbone) -> tuple[str, ...]:
    # Tensors may be mapped from their file, so a copy of it elsewhere, which may have been written
    # over since, is another network in spite of its digest.
    where = backbone.weights.describe()
    return backbone.name, backbone.architecture, getattr(backbone, "code", ""), where


def _check_pinned(backbone: Backbone, pinned: str) -> None:
    try:
        found = backbone.weights.digest()
    except WeightsError as error:
        raise pinned_were(pinned, error) from error
    if found != pinned:
        raise WeightsError(
            f"The weights of {backbone.name} are not those that this estimator was fitted with: "
            f"SHA-256 {pinned} was pinned, {found} was found ({backbone.weights.describe()}). "
            "Restore the weights that were pinned, or fit again (the estimators after this one "
            "too, since they learned from the old features)."
        )


def _make(backbone: Backbone, device: torch.device, dtype: torch.dtype) -> LoadedNetwork:
    module = _freeze(backbone.build(), device, dtype)
    # Reduced precision rounds anew wherever operations are put together differently, so there the
    # network is rearranged before it gives a row.
    patience = backbone.patience if dtype == torch.float32 else 0
    return LoadedNetwork(
        Arrangement(module),
        device,
        dtype,
        tuple(_freeze(one, device, dtype) for one in backbone.build_trained()),
        rearrange=lambda: uninterrupted(lambda: _rearranged(backbone, module, device, dtype)),
        patience=patience,
    )


def _rearranged(
    backbone: Backbone, module: nn.Module, device: torch.device, dtype: torch.dtype
) -> Arrangement:
    """Take the ways that are faster and give the same numbers; each is tried on samples."""
    packing, sequences = None, backbone.sequences()
    if fast_paths():
        encoder = sequences.config if sequences and device.type == "cpu" else None
        packed = None if encoder is None else find_packing(module, encoder)
        if packed is not None:
            module, packing = packed
        module = _faster(backbone, module, device, dtype)
    even = packing is None and padding_shows(backbone, module)
    return Arrangement(module, packing, even)


_SINGLE = {
    **dict.fromkeys((torch.float64, torch.bfloat16, torch.float16), torch.float32),
    torch.complex128: torch.complex64,
}


def _freeze(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    module = module.eval().requires_grad_(False).to(device)
    held = [*module.named_parameters(), *module.named_buffers()]
    intricate = [name for name, x in held if x.is_complex()]
    if not intricate:
        return module.to(dtype=dtype)
    if dtype != torch.float32:
        raise ValueError(
            f"The network has complex weights ({intricate[0]!r}), which cannot be {dtype}. Use "
            "dtype='float32'."
        )
    return module._apply(lambda x: x.to(_SINGLE.get(x.dtype, x.dtype)))


def _faster(
    backbone: Backbone, module: nn.Module, device: torch.device, dtype: torch.dtype
) -> nn.Module:
    samples = backbone.example()
    if samples is None:
        return module

    def exact() -> nn.Module:
        return _freeze(backbone.build(), device, torch.float32)

    def call(network: nn.Module) -> Any:
        precisions = (x.dtype for x in network.parameters() if x.is_floating_point())
        batch = backbone.collate(samples, device, next(precisions, dtype))
        return backbone.call(network, batch)

    reduced = dtype != torch.float32
    return speed_up(
        module, device, dtype, call, exact=exact if reduced else None, tame=backbone.is_tame
    )


def unload() -> None:
    """Let go of every loaded network."""
    if _loaded:
        _loaded.clear()
        give_back_memory()


@in_children
def _after_fork() -> None:
    """Give a forked child one thread, and no handles on a device of the parent."""
    if _has_loaded:
        # The parent's pool of threads is not in the child, and OpenMP would wait for it forever.
        torch.set_num_threads(1)
    for key, network in list(_loaded.items()):
        if network.device.type != "cpu":
            del _loaded[key]


keep(f"{__name__}._loaded", "loaded networks", clear=unload, size=_loaded.__len__)
