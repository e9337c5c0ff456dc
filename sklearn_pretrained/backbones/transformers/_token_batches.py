"""Tokenised texts → one batch of tensors, padded on the right."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Tokens = dict[str, list[int]]


def padded(samples: Sequence[Tokens], padding: int) -> dict[str, Tensor]:
    """Pad tokens on the right, which neither encoders nor decoders look at."""
    lengths = [len(sample["input_ids"]) for sample in samples]
    longest = max(lengths)
    fillers = {"input_ids": padding}
    batch = {
        name: torch.tensor(
            [s[name] + [fillers.get(name, 0)] * (longest - len(s[name])) for s in samples]
        )
        for name in samples[0]
    }
    if min(lengths) == longest:  # such as a text alone
        batch["attention_mask"] = torch.ones(len(samples), longest, dtype=torch.int64)
    else:
        batch["attention_mask"] = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    return batch
