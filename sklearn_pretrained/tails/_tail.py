"""Activations of one layer → the outputs of deeper ones, with gradients; the rest is not run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import Layer
from ._gradients import EvenMeans
from ._runs import Key
from ._script import Scene, Script

Blank = Callable[[Sequence[int]], Any]
"""Lengths of items → a batch that holds nothing but these."""


class Tail:
    """What is left of a network above a layer.

    Parameters
    ----------
    network : nn.Module
        A copy that belongs to the tail, in eval mode, of which nothing below the layer is run.
    layer : Layer
        Whose activations it reads.
    script, over, blank, mask, reduce, outputs
        How the network is made to do that.
    even : bool
        Whether only items of one length may meet, since padding would show.
    cheap : bool
        Whether stand-ins may be one number, seen everywhere.

    Attributes
    ----------
    trained : tuple of str
        Names of the parameters that decide the outputs, in the order of the network.
    channels_last : bool
        Whether maps are laid out as convolutions read them fastest.
    """

    def __init__(
        self,
        network: nn.Module,
        layer: Layer,
        *,
        script: Script,
        over: Callable[[Any], Callable[[nn.Module], Any]],
        blank: Blank,
        reduce: Callable[[int, Tensor, Tensor | None], Tensor],
        outputs: int,
        mask: Callable[[Any], Tensor | None],
        even: bool,
        cheap: bool,
    ) -> None:
        self.network, self.layer, self.even, self.cheap = network, layer, even, cheap
        self.trained: tuple[str, ...] = ()
        self.channels_last = False
        self._script, self._over, self._blank, self._mask = script, over, blank, mask
        self._reduce, self._outputs = reduce, outputs

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters that decide the outputs, by name."""
        named = dict(self.network.named_parameters())
        return {name: named[name] for name in self.trained}

    def __call__(
        self,
        activations: Tensor,
        lengths: Sequence[int] | None = None,
        *,
        poisoned: Collection[Key] | None = (),
    ) -> Tensor:
        """Run the rest of the network.

        Parameters
        ----------
        activations : Tensor of shape (N, ...)
            Of the layer. Those of items that are shorter than others have zeros behind them.
        lengths : sequence of int, optional
            Of the items, where they have lengths.
        poisoned : collection of Key or None
            Which of the stand-ins give NaN, to see whether it comes through; None stands for all.

        Returns
        -------
        Tensor of shape (N, D)
            The pooled outputs, side by side.
        """
        if self.channels_last and activations.ndim == 4:  # noqa: PLR2004
            activations = activations.contiguous(memory_format=torch.channels_last)
        lengths = [1] * len(activations) if lengths is None else lengths
        batch = self._blank(lengths)
        mask = self._mask(batch)
        scene = Scene(
            size=(len(lengths), max(lengths)),
            activation=activations,
            reduce=lambda i, x: self._reduce(i, x, mask),
            outputs=self._outputs,
            poisoned=poisoned,
            cheap=self.cheap,
        )
        is_dear = self.channels_last and torch.is_grad_enabled()
        mode: AbstractContextManager[Any] = EvenMeans() if is_dear else nullcontext()
        with mode:
            found = self._script.play(self._over(batch), scene)
        return torch.cat([x.float() for x in found], dim=1)
