"""A text encoder → whether the padding behind a text shows in the text's own numbers.

Most encoders never look at padding. Some do, whatever mask they are given: MobileBERT reads each
token with its neighbours, FNet mixes all places. Texts of different lengths must not meet there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..._precisions import precision_of
from ..._taps import first_tensor

_LENGTHS = (12, 5)


def padding_shows(
    network: nn.Module,
    call: Callable[[nn.Module, dict[str, Tensor]], Any],
    *,
    vocabulary: int,
    padding: int,
) -> bool:
    """Run a text alone and beside a longer one, and compare.

    Parameters
    ----------
    network : nn.Module
    call : callable
        Runs it over a batch.
    vocabulary : int
        How many tokens there are.
    padding : int
        The token that fills up.
    """
    parameter = next(network.parameters())
    longest, short = _LENGTHS
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, vocabulary, (2, longest), generator=generator)
    ids[1, short:] = padding
    mask = (torch.arange(longest) < torch.tensor(_LENGTHS)[:, None]).long()
    ids, mask = ids.to(parameter.device), mask.to(parameter.device)

    def run(which: slice, length: int) -> Tensor:
        batch = {"input_ids": ids[which, :length], "attention_mask": mask[which, :length]}
        found = first_tensor(call(network, batch))
        assert found is not None
        return found[-1, :short].float()

    try:
        with torch.inference_mode():
            alone, together = run(slice(1, 2), short), run(slice(0, 2), longest)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return True  # what cannot be tried is not relied on
    error = (alone - together).norm(dim=-1) / alone.norm(dim=-1)
    return not bool((error < precision_of(parameter.dtype).forward).all())
