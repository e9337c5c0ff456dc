"""What named networks over images have in common: one preprocessing, and batches of images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._backbone import Backbone
from ._preprocessing import ImagePreprocessing


class ImageBackbone(Backbone):
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

    def recipe(self) -> dict[str, Any]:
        """Return name and preprocessing."""
        return {"network": self.name, "preprocessing": self.preprocessing.describe()}

    def rehearse(self, network: nn.Module, batch: int, *, grown: bool) -> Any:
        """Run a skeleton over images that hold nothing."""
        height, width = (n * (2 if grown else 1) for n in self.preprocessing.read_size)
        shape = (batch, 3, height, width)
        return self.call(network, torch.empty(shape, dtype=torch.float32, device="meta"))

    def example(self) -> list[Tensor]:
        """Return two images of noise."""
        return self.preprocessing.noise(2)

    def prepare(self, contents: Sequence[Any]) -> list[Any]:
        """Resize and crop each image; one that cannot be comes back as its error."""
        return self.preprocessing.each(contents)

    def collate(self, samples: Sequence[Tensor], device: Any, dtype: torch.dtype) -> Tensor:
        """Stack and normalise images."""
        return self.preprocessing.join(samples, device, dtype)

    def raw(self, samples: Sequence[Tensor]) -> Tensor | None:
        """Stack images that are not normalised yet."""
        return self.preprocessing.stack(samples)

    def scaled(self, raw: Tensor) -> Tensor:
        """Normalise them."""
        return self.preprocessing.scale(raw)

    @property
    def scaling(self) -> ImagePreprocessing:
        """The preprocessing, which a folder may change while its network stays."""
        return self.preprocessing

    def call(self, network: nn.Module, batch: Tensor) -> Any:
        """Run the network."""
        return network(batch)


class OfOneFile(ImageBackbone):
    """One that its name and parameters describe for good, but for the file of its weights."""

    def is_still(self, weights: str) -> bool:
        """Tell whether the file is as it was."""
        return self.weights.digest() == weights
