"""A backbone → its network, watched over sample batches; from there its tails, each proved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..backbones import Backbone
from ..exceptions import LayerError
from ..layers import Layer
from ..running.eager.packed import padding_shows
from ..taps import WHOLE, is_changed_behind, pool
from ._cut import Cut, passing_of, reading
from ._folded import Folded
from ._forms import Size, forms
from ._runs import Key, Run, watch
from ._script import Act, Scene, Script, check_no_hooks
from ._tail import Tail

TOLERANCE = 1e-5
Outputs = Sequence[tuple[Layer, str]]
_SIZES: tuple[Size, ...] = ((2, 1), (3, 1))
_SIZES_OF_TEXTS: tuple[Size, ...] = ((2, 5), (3, 5), (2, 9), (3, 9))
_PROVED_ON = 4  # items
_FEW = 2  # of them, over which is seen what passes a cut: a forward each time
_DEEPEST = 12  # parts inside parts that are opened in search of what passes the cut


class WatchedNetwork:
    """A network of its own, of which it is known what runs when.

    Parameters
    ----------
    backbone : Backbone
    outputs : sequence of (Layer, str)
        What is read of it, with its pooling.
    device : torch.device
    """

    def __init__(self, backbone: Backbone, outputs: Outputs, device: torch.device) -> None:
        self.backbone, self.outputs, self.device = backbone, tuple(outputs), device
        self.network = backbone.build().eval().requires_grad_(False).to(device, torch.float32)
        # What was trained behind a pooling stays as it is.
        behind = (one.eval().requires_grad_(False) for one in backbone.build_trained())
        self._behind = [one.to(device) for one in behind]
        samples = backbone.example()
        if samples is None:
            raise LayerError(f"{backbone.name} has no sample to verify a tail with.")
        self._samples = list(samples)
        mask = backbone.mask(self._collate(self._samples))
        self.has_lengths = mask is not None
        self.even = self.has_lengths and padding_shows(backbone, self.network)
        if self.even:  # only items of one length may meet
            self._samples = self._samples[:1]
        self._script: Script | None = None
        self._folded: Folded | None = None
        self._runs = self._watched()

    def _collate(self, samples: Sequence[Any]) -> Any:
        return self.backbone.collate(samples, self.device, torch.float32)

    def _over(self, batch: Any) -> Callable[[nn.Module], Any]:
        return lambda network: self.backbone.call(network, batch)

    def _blank(self, lengths: Sequence[int]) -> Any:
        """Make a batch that says nothing of its items but how many and how long they are."""
        first = self._samples[0]
        if self.has_lengths:
            return self._collate([_of_length(first, length) for length in lengths])
        return _repeated(self._collate([torch.zeros_like(first)]), len(lengths))

    def _watched(self) -> dict[Key, Run]:
        sizes = _SIZES_OF_TEXTS if self.has_lengths else _SIZES
        seen = []
        for n, length in sizes:
            batch = self._blank([length] * n)
            seen.append(watch(self.network, self._over(batch)))
        runs = seen[0]
        if any(list(one) != list(runs) for one in seen):
            raise LayerError(f"{self.backbone.name} takes a different path for other batch sizes.")
        for key, run in runs.items():
            try:
                run.output = forms([one[key].output for one in seen], sizes)
            except ValueError as error:  # counts where it has to be replaced
                run.output = error
        return runs

    def _reduce(self, i: int, x: Tensor, mask: Tensor | None) -> Tensor:
        layer, pooling = self.outputs[i]
        if mask is None or x.ndim != 3 or len(x) != len(mask):  # noqa: PLR2004
            return pool(x, pooling, layer.layout, trained=self._behind)
        # Some encoders pad each text further, on the right.
        mask = nn.functional.pad(mask, (0, x.shape[1] - mask.shape[1]))
        if pooling in WHOLE:  # padding is nobody's
            x = x.masked_fill(~mask.bool().unsqueeze(-1), 0)
        return pool(x, pooling, layer.layout, mask, self._behind)

    def tail(self, layer: Layer) -> Tail:
        """Return what is left of the network above a layer; refuse where it is not the same.

        The network belongs to the last tail that was asked for.
        """
        self.release()
        self._check_heard(layer)
        cut = Cut(self._runs, layer, [read for read, _ in self.outputs])
        samples = (self._samples * _PROVED_ON)[:_PROVED_ON]
        batch = self._collate(samples)
        mask = self.backbone.mask(batch)
        lengths = None if mask is None else [int(n) for n in mask.sum(1)]
        try:
            activation, whole = self._whole(layer, batch, mask)
            if len(activation) != len(samples):
                raise LayerError(
                    f"it gives {len(activation)} rows for {len(samples)} items, and which of them "
                    "belong to an item is not known"
                )
            tail = self._settled(cut, layer, batch, activation, lengths)
            self._fold(tail, activation, whole)
            with torch.inference_mode():
                error = _distance(tail(activation.clone(), lengths), whole)
            tail.trained = self._trained(cut, tail, activation, lengths)
        except LayerError:
            raise
        except Exception as wrong:  # networks may do anything
            said = str(wrong).partition("\n")[0]
            raise LayerError(f"the remaining part does not run: {said}") from wrong
        if not error <= TOLERANCE:
            raise LayerError(f"the remaining part differs from the whole network by {error:.0e}")
        return tail

    def release(self) -> None:
        """Let the network do again what it is made for."""
        if self._folded is not None:
            self._folded.undo()
            self._folded = None
        if self._script is not None:
            self._script.remove()
            self._script = None

    def _check_heard(self, layer: Layer) -> None:
        """Refuse what a forward cannot give or read as rows are read: what hooks make of it."""
        check_no_hooks()
        for place in [layer, *(read for read, _ in self.outputs)]:
            module = self.network.get_submodule(place.module)
            if place.side == "output" and is_changed_behind(module):
                raise LayerError(
                    f"{place.module or 'the network'!r} has a forward hook, which may change what "
                    "it gives once its forward is over"
                )

    def _whole(self, layer: Layer, batch: Any, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run the whole network; return the layer's activation, as caches keep it, and the end."""
        outputs = len(self.outputs)

        def reduce(i: int, x: Tensor) -> Tensor:
            return x.clone() if i == outputs else self._reduce(i, x, mask)

        script = Script(self.network, reading([*(read for read, _ in self.outputs), layer]))
        try:
            with torch.inference_mode():
                scene = Scene((1, 1), None, reduce, outputs + 1)
                *found, activation = script.play(self._over(batch), scene)
        finally:
            script.remove()
        if mask is not None and activation.ndim == 3:  # noqa: PLR2004
            if activation.shape[1] != mask.shape[1]:
                raise LayerError("the network pads texts to other lengths than their own")
            activation = activation * mask[:, :, None]
        return activation, torch.cat([x.float() for x in found], dim=1)

    def _settled(
        self,
        cut: Cut,
        layer: Layer,
        batch: Any,
        activation: Tensor,
        lengths: Sequence[int] | None,
    ) -> Tail:
        """Open stubs until nothing but the activation passes the cut."""
        cheap = True
        few, few_lengths = activation[:_FEW], None if lengths is None else lengths[:_FEW]
        for _ in range(_DEEPEST):
            self._script = Script(self.network, cut.acts())
            tail = Tail(
                self.network,
                layer,
                script=self._script,
                over=self._over,
                blank=self._blank,
                mask=self.backbone.mask,
                reduce=self._reduce,
                outputs=len(self.outputs),
                even=self.even,
                cheap=cheap,
            )

            def passes(poisoned: Collection[Key] | None, tail: Tail = tail) -> bool:
                with torch.inference_mode():
                    rows = tail(few.clone(), few_lengths, poisoned=poisoned)
                return not bool(torch.isfinite(rows).all())

            try:
                passes(())
            except RuntimeError:  # some write into what they are given, or lay it out anew
                if not cheap:
                    raise
                cheap = tail.cheap = False
            if not passes(None):
                return tail
            passing = self._passing(cut, passes, batch, lengths)
            if not passing:  # none alone
                break
            self.release()
            for key in passing:
                cut.open(key)
        raise LayerError("later layers use more than the output of this layer")

    def _passing(
        self,
        cut: Cut,
        passes: Callable[[Collection[Key]], bool],
        batch: Any,
        lengths: Sequence[int] | None,
    ) -> list[Key]:
        """List the stubs that are to be opened, the nearest first; refuse as soon as one cannot."""
        script = self._script
        assert script is not None
        passing: list[Key] = []
        for key in passing_of(cut.standing(), passes):
            if not cut.parts(key):
                script.remove()
                if not self._is_fixed(key, batch, lengths):
                    raise LayerError(f"later layers also use {key[0]!r}")
                script.put()
            passing.append(key)
        return passing

    def _fold(self, tail: Tail, activation: Tensor, whole: Tensor) -> None:
        """Let convolutions do the work of the batch norms behind them, where that is the same."""
        if self.has_lengths:
            return

        def run() -> Tensor:
            return tail(activation.clone())

        assert self._script is not None
        self._folded = Folded(self.network, run, apart=self._script.names)
        if not self._folded.pairs:
            return
        tail.channels_last = True
        self.network.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            if not _distance(run(), whole) <= TOLERANCE:  # something else reads what lies between
                self._folded.undo()
                self._folded = None

    def _is_fixed(self, key: Key, batch: Any, lengths: Sequence[int] | None) -> bool:
        """Tell whether a run gives the same whatever the items are, such as their places."""
        found = []
        for items in (batch, self._blank([1] * _PROVED_ON if lengths is None else lengths)):
            script = Script(self.network, {key: Act(reads=[(0, "output")])})
            try:
                with torch.inference_mode():
                    scene = Scene((1, 1), None, lambda _, x: x.clone(), 1)
                    found += script.play(self._over(items), scene)
            finally:
                script.remove()
        return found[0].shape == found[1].shape and bool((found[0] == found[1]).all())

    def _trained(
        self, cut: Cut, tail: Tail, activation: Tensor, lengths: Sequence[int] | None
    ) -> tuple[str, ...]:
        """List the parameters that decide what comes out, and belong to no part below the cut."""
        below, above = cut.lower()
        held = {id(p) for name in below for p in self.network.get_submodule(name).parameters()}
        kept = {id(p) for name in above for p in self.network.get_submodule(name).parameters(False)}
        self.network.requires_grad_(True)
        try:
            total = tail(activation.clone(), lengths).sum()
            if total.requires_grad:  # else nothing above holds parameters
                total.backward()
            return tuple(
                name
                for name, p in self.network.named_parameters()
                if p.grad is not None and id(p) not in held - kept
            )
        finally:
            self.network.requires_grad_(False)
            self.network.zero_grad(set_to_none=True)


def _of_length(sample: Mapping[str, list[int]], length: int) -> dict[str, list[int]]:
    """Make a text's tokens: first and last as ever, and the second as often as needed."""
    return {
        name: (part[:1] + part[1:2] * (length - 2) + part[-1:])[:length]
        for name, part in sample.items()
    }


def _repeated(batch: Any, n: int) -> Any:
    """See the one item of a batch as many times as needed, at no cost."""
    if isinstance(batch, Tensor):
        return batch.expand(n, *batch.shape[1:])
    if isinstance(batch, Mapping):
        return {name: _repeated(part, n) for name, part in batch.items()}
    raise LayerError(f"its inputs are a {type(batch).__name__}, which is not a tensor")


def _distance(got: Tensor, expected: Tensor) -> float:
    far = (got.double() - expected.double()).norm(dim=1)
    return float((far / expected.double().norm(dim=1).clamp(min=1e-12)).max())
