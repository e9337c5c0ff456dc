"""A text encoder → whether the padding behind a text shows in the text's own numbers.

Most encoders never look at padding. Some do, whatever mask they are given: MobileBERT reads each
token with its neighbours, FNet mixes all places. Texts of different lengths must not meet there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ....backbones import Backbone
from ....taps import first_tensor
from ..._distance import are_alike

_LENGTHS = (12, 5)


def padding_shows(backbone: Backbone, network: nn.Module) -> bool:
    """Run a text alone and beside a longer one, and compare."""
    sequences = backbone.sequences()
    if sequences is None:
        return False
    parameter = next(network.parameters())
    longest, short = _LENGTHS
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, sequences.vocabulary, (2, longest), generator=generator)
    ids[1, short:] = sequences.padding
    mask = (torch.arange(longest) < torch.tensor(_LENGTHS)[:, None]).long()
    ids, mask = ids.to(parameter.device), mask.to(parameter.device)

    def run(which: slice, length: int) -> Tensor:
        batch = {"input_ids": ids[which, :length], "attention_mask": mask[which, :length]}
        found = first_tensor(backbone.call(network, batch))
        assert found is not None
        return found[-1, :short]

    try:
        with torch.inference_mode():
            alone, together = run(slice(1, 2), short), run(slice(0, 2), longest)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return True  # what cannot be tried is not relied on
    return not are_alike(together, alone)
