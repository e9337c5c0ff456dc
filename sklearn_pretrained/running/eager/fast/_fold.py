"""A network's convolutions → the same with the batch norm and activation after them folded in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ....taps import is_input_read, is_output_read, is_plain
from ._convs import Convolve, activation_name, convolution, takes_activation
from ._pairs import Flow


def fold(
    network: nn.Module, flow: Flow, *, exact: nn.Module | None = None, tame: bool = False
) -> None:
    """Fold each batch norm into the convolution that alone feeds it.

    With ``exact``, the same network in higher precision, its weights are folded and then rounded.

    Submodules, weights and buffers stay as they are: only ``forward`` is replaced, on the
    instances. While somebody reads what lies between the folded parts, these run unfolded, so that
    he sees the true value. The folded weights need as much memory again.

    Where the forward looks at values, other items may take another way, on which a convolution
    meets no batch norm; there, nothing is folded.
    """
    if flow.looks_at_values:
        return
    modules = dict(network.named_modules())
    weighs: dict[str, Any] = modules if exact is None else dict(exact.named_modules())
    for at, conv in modules.items():
        if type(conv) is not nn.Conv2d or at not in flow.reached or not is_plain(conv):
            continue
        after = flow.next_of.get(at)
        norm = modules.get(after) if after is not None else None
        if type(norm) is not nn.BatchNorm2d or not is_plain(norm) or norm.running_var is None:
            after = norm = None
        last = flow.next_of.get(at if after is None else after)
        activation = modules.get(last) if last is not None else None
        name = _activation(conv, activation, tame=tame)
        if name is None:
            activation = None
        if norm is not None or activation is not None:
            unrounded = None if after is None else weighs[after]
            weight, bias = folded(weighs[at], unrounded, conv.weight.dtype)
            convolve = convolution(conv, weight, bias)
            _Chain(conv, norm, activation, name, convolve).install()


def _activation(conv: nn.Conv2d, activation: nn.Module | None, *, tame: bool) -> str | None:
    if activation is None or not takes_activation(conv) or not is_plain(activation):
        return None
    return activation_name(activation, conv.weight.dtype, tame=tame)


_AT_ONCE = 1 << 20
"""Numbers of a weight that are scaled in one go, in double precision."""


def folded(
    conv: nn.Conv2d, norm: nn.BatchNorm2d | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """Return the weight and bias of a convolution followed by a batch norm in eval mode."""
    if norm is None:
        return conv.weight.to(dtype), conv.bias if conv.bias is None else conv.bias.to(dtype)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    weight = torch.empty_like(conv.weight, dtype=dtype, memory_format=torch.channels_last)
    rows = max(1, _AT_ONCE // conv.weight[0].numel())
    parts = (x.split(rows) for x in (weight, conv.weight, scale.view(-1, 1, 1, 1)))
    for into, numbers, factors in zip(*parts, strict=True):
        into.copy_(numbers.double() * factors)
    return weight, shift.to(dtype)


class _Chain:
    """A convolution and what follows it, with forwards that share the work out anew."""

    def __init__(
        self,
        conv: nn.Conv2d,
        norm: nn.BatchNorm2d | None,
        activation: nn.Module | None,
        name: str | None,
        convolve: Convolve,
    ) -> None:
        self.conv, self.norm, self.activation, self.name = conv, norm, activation, name
        self.convolve = convolve
        self.itself = {part: part.forward for part in (conv, norm, activation) if part is not None}

    def install(self) -> None:
        """Replace the forwards."""
        forwards = {
            self.conv: self._convolve,
            self.norm: self._normalise,
            self.activation: self._activate,
        }
        for part in self.itself:
            part.forward = forwards[part]

    def _norm_is_apart(self) -> bool:
        return self.norm is not None and (is_output_read(self.conv) or is_input_read(self.norm))

    def _activation_is_apart(self) -> bool:
        before = self.conv if self.norm is None else self.norm
        return (
            self.activation is None
            or is_output_read(before)
            or is_input_read(self.activation)
            or self._norm_is_apart()
        )

    def _convolve(self, x: Tensor) -> Any:
        if self._norm_is_apart():
            return self.itself[self.conv](x)
        return self.convolve(x, None if self._activation_is_apart() else self.name)

    def _normalise(self, x: Tensor) -> Any:
        assert self.norm is not None
        return self.itself[self.norm](x) if self._norm_is_apart() else x

    def _activate(self, x: Tensor) -> Any:
        assert self.activation is not None
        return self.itself[self.activation](x) if self._activation_is_apart() else x
