"""Tokenised texts → which of them go through the network together, and their tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Tokens = dict[str, list[int]]


def by_length(lengths: Sequence[int], *, most: int, budget: int, even: bool) -> list[Sequence[int]]:
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
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    made: list[list[int]] = []
    for i in order:
        if (
            not made
            or len(made[-1]) >= most
            or (len(made[-1]) + 1) * lengths[made[-1][0]] > budget
            or (even and lengths[i] != lengths[made[-1][0]])
        ):
            made.append([])
        made[-1].append(i)
    return list(made)


def padded(samples: Sequence[Tokens], padding: int) -> dict[str, Tensor]:
    """Pad tokens on the right, which neither encoders nor decoders look at."""
    longest = max(len(sample["input_ids"]) for sample in samples)
    fillers = {"input_ids": padding}
    batch = {
        name: torch.tensor(
            [s[name] + [fillers.get(name, 0)] * (longest - len(s[name])) for s in samples]
        )
        for name in samples[0]
    }
    lengths = torch.tensor([len(sample["input_ids"]) for sample in samples])
    batch["attention_mask"] = (torch.arange(longest) < lengths[:, None]).long()
    return batch
