"""What named networks over images have in common: one preprocessing, and batches of pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..._process import keep
from .._backbone import Backbone
from .._weights import digest_of
from ._preprocessing import ImagePreprocessing

_random_digests: dict[str, str] = {}
keep(
    f"{__name__}._random_digests",
    "digests of random weights",
    clear=_random_digests.clear,
    size=_random_digests.__len__,
)


class PictureBackbone(Backbone):
    """A named network over images.

    Attributes
    ----------
    preprocessing : ImagePreprocessing
        What the network's training did to each image.
    """

    preprocessing: ImagePreprocessing
    prepares_concurrently = True
    is_tame = True  # pixels are

    @abstractmethod
    def random(self) -> nn.Module:
        """Build the network with the random weights that a seed decides."""

    def random_digest(self) -> str:
        """Hash the network that the seed makes, once in a process."""
        if self.architecture not in _random_digests:
            _random_digests[self.architecture] = digest_of(self.random())
        return _random_digests[self.architecture]

    def example(self) -> list[Tensor]:
        """Return two images of noise."""
        return self.preprocessing.noise(2)

    def prepare(self, contents: Sequence[Any]) -> list[Any]:
        """Resize and crop each image; one that cannot be comes back as its error."""
        return self.preprocessing.each(contents)

    def collate(self, samples: Sequence[Tensor], device: Any, dtype: torch.dtype) -> Tensor:
        """Stack and normalise images."""
        return self.preprocessing.join(samples, device, dtype)

    def call(self, network: nn.Module, batch: Tensor) -> Any:
        """Run the network."""
        return network(batch)
