"""Samples → which of them go through the network together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..backbones import Backbone

TOKENS = {"cpu": 2048, "cuda": 65536, "mps": 8192}
"""Tokens in a batch, padding included."""
_FILL_CACHES = 8 * 3 * 224 * 224
_FEWEST = 8
_SHARE = 0.75
"""How large batches of texts are best that run at the same time, compared with one alone."""
_WORTH_STREAMS = 384
"""Tokens for each batch that may run at the same time, above which that is faster."""
_FEWEST_TOKENS = 256
"""Below this, a processor's matrix products get slower."""


def batches(
    samples: Sequence[Any],
    backbone: Backbone,
    batch_size: int | str,
    device: torch.device,
    *,
    even: bool,
    parts: int = 1,
) -> list[Sequence[int]]:
    """Say which samples share a batch: those of like length, or as many as suit the device.

    On a CPU, eight images of the usual size fill the caches, and more would overflow them; of
    smaller items as many go together as hold as many numbers, in batches that run at the same time
    too. Those of texts are smaller by a quarter then, and the last ones smaller still, so that all
    end at about the same time.

    Parameters
    ----------
    samples : sequence
    backbone : Backbone
        Knows their lengths, where it reads sequences.
    batch_size : int or "auto"
        Most samples in a batch.
    device : torch.device
    even : bool
        Whether only samples of one length may meet.
    parts : int
        How many batches run at the same time; more than one batch is cut so that all have work.
    """
    lengths = backbone.lengths(samples)
    if lengths is not None:
        most = batch_size if isinstance(batch_size, int) else len(samples)
        budget = TOKENS.get(device.type, 2048)
        if parts == 1 or sum(lengths) <= min(budget, _WORTH_STREAMS * parts):
            return by_length(lengths, most=most, budget=budget, even=even)
        budget = int(budget * _SHARE)
        return by_length(lengths, most=most, budget=budget, even=even, parts=parts)
    most = batch_size if isinstance(batch_size, int) else backbone.window
    if device.type == "cpu" and samples:
        most = min(most, max(_FEWEST, _FILL_CACHES // max(1, samples[0].numel())))
    return _shared_out(len(samples), most, parts)


def _shared_out(n: int, most: int, parts: int) -> list[Sequence[int]]:
    """Cut ``n`` samples into batches; what does not fill one for each part is shared out."""
    rest = n % (most * parts) if n > most else 0
    whole = n - rest
    share = max(1, -(-rest // parts))
    return [
        *(range(i, min(i + most, whole)) for i in range(0, whole, most)),
        *(range(i, min(i + share, n)) for i in range(whole, n, share)),
    ]


def by_length(
    lengths: Sequence[int], *, most: int, budget: int, even: bool, parts: int = 1
) -> list[Sequence[int]]:
    """Put texts of like length together, the longest first.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each text.
    most : int
        Most texts in a batch.
    budget : int
        Most tokens in a batch, padding included; a text that is longer goes alone.
    even : bool
        Whether only texts of one length may meet.
    parts : int, default=1
        How many batches run at the same time. With several, none holds more than their share of
        what is left, so that they end at about the same time.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    made: list[list[int]] = []
    left, room = sum(lengths), budget
    for i in order:
        if (
            not made
            or len(made[-1]) >= most
            or (len(made[-1]) + 1) * lengths[made[-1][0]] > room
            or (even and lengths[i] != lengths[made[-1][0]])
        ):
            made.append([])
            if parts > 1:
                room = min(budget, max(_FEWEST_TOKENS, left // parts))
        made[-1].append(i)
        left -= lengths[i]
    return list(made)
