"""Uint8 RGB images → network inputs, exactly as a network's own recipe prepares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from ...exceptions import BadItemError
from ...process import quiet, remembered

# Of a resized image, before its centre is cut out: 200 MB.
_MOST_PIXELS = 1 << 26
_LONG = 4


@quiet
def _be_warned() -> None:
    """Let torch say that arrays are read-only, which it does once in a process, at any image."""
    torch.from_numpy(np.broadcast_to(np.uint8(0), (1,)))


_be_warned()  # nothing here writes to pixels


@dataclass(frozen=True)
class ImagePreprocessing:
    """Resize the shorter side, crop the centre, scale to [0, 1], normalise.

    Parameters
    ----------
    resize, crop : int
        Length of the shorter side after resizing, and of the square cut from the centre.
    interpolation : {"bilinear", "bicubic", "nearest"}
    mean, std : tuple of float
        Of each channel.
    resizer : {"fast", "exact"}
        "fast" resizes tensors, "exact" resizes PIL images; both with antialiasing.
    """

    resize: int
    crop: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resizer: str = "fast"

    def sized(self, size: int | None) -> ImagePreprocessing:
        """Return the same for another input size, with the same share of each image."""
        if size is None or size == self.crop:
            return self
        resize = round(self.resize * size / self.crop)
        return ImagePreprocessing(
            resize, size, self.interpolation, self.mean, self.std, self.resizer
        )

    @property
    def read_size(self) -> tuple[int, int]:
        """Height and width of what the network reads."""
        return self.crop, self.crop

    @property
    def keeps_form(self) -> bool:
        """Whether the shorter side is resized, so that a long image stays long until the crop."""
        return True

    def describe(self) -> dict[str, Any]:
        """Return the facts that decide the numbers."""
        return {"kind": "resize-crop-normalise", **vars(self)}

    def each(self, images: Sequence[NDArray[np.uint8]]) -> list[Tensor | BadItemError]:
        """Prepare images; one that cannot be comes back as its error."""
        made: list[Tensor | BadItemError] = []
        for image in images:
            try:
                made.append(self.one(image))
            except BadItemError as error:
                made.append(error)
        return made

    def one(self, image: NDArray[np.uint8]) -> Tensor:
        """Resize and crop one image (H, W, 3) into a uint8 tensor (3, crop, crop)."""
        height, width = image.shape[:2]
        elongation = max(height, width) / min(height, width)
        if self.keeps_form and self.resize**2 * elongation > _MOST_PIXELS:
            raise BadItemError(
                f"is too elongated ({width}×{height} pixels): resizing its shorter side to "
                f"{self.resize} pixels would exhaust the memory; crop it first"
            )
        small = self._resized(image)
        # What is cut out of a long image would keep all of it in memory.
        return small.clone() if elongation > _LONG else small

    def _resized(self, image: NDArray[np.uint8]) -> Tensor:
        if self._by_pillow:
            from PIL import Image

            return tvf.pil_to_tensor(self._fitted(Image.fromarray(image)))
        return self._fitted(torch.from_numpy(image).permute(2, 0, 1))

    @property
    def _by_pillow(self) -> bool:
        return self.resizer == "exact"

    def _fitted(self, image: Any) -> Any:
        """Resize and crop a tensor or an image of Pillow's."""
        mode = InterpolationMode(self.interpolation)
        small = tvf.resize(image, [self.resize], interpolation=mode, antialias=True)
        return tvf.center_crop(small, [self.crop])

    def noise(self, count: int) -> list[Tensor]:
        """Return samples of noise, the same in every process."""
        shape = (count, len(self.mean), *self.read_size)
        seeded = torch.Generator().manual_seed(0)
        return list(torch.randint(256, shape, generator=seeded, dtype=torch.uint8))

    def join(self, samples: Sequence[Tensor], device: Any, dtype: torch.dtype) -> Tensor:
        """Stack and normalise samples on a device."""
        batch = _stacked(samples)
        if torch.device(device).type == "cuda":
            batch = batch.pin_memory()  # else the copy would wait for the device
        batch = batch.to(device, non_blocking=True).float()
        if self.resizer == "exact":  # in torchvision's order of operations, to the bit
            mean, std = (_numbers(of, device) for of in (self.mean, self.std))
            batch.div_(255).sub_(mean).div_(std)
        else:
            scale, shift = _line(self.mean, self.std, batch.shape[2], device)
            lines = batch.view(*batch.shape[:2], -1)
            torch.addcmul(shift, lines, scale, out=lines)
        return batch.permute(0, 3, 1, 2).to(dtype)

    def stack(self, samples: Sequence[Tensor]) -> Tensor | None:
        """Stack samples as they are, with the channels last; None where they are no bytes."""
        batch = _stacked(samples)
        return batch.permute(0, 3, 1, 2) if batch.dtype == torch.uint8 else None

    def scale(self, stacked: Tensor) -> Tensor:
        """Normalise what `stack` gave, as `join` does, in operations that can be traced."""
        mean, std = (_numbers(of, stacked.device)[:, None, None] for of in (self.mean, self.std))
        if self.resizer == "exact":
            return stacked.float().div(255).sub(mean).div(std)
        return stacked.float() * (1 / (255 * std)) - mean / std


def _stacked(samples: Sequence[Tensor]) -> Tensor:
    return torch.stack([sample.permute(1, 2, 0) for sample in samples])


@remembered("networks' means and deviations", maxsize=8)
def _line(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: Any
) -> tuple[Tensor, Tensor]:
    """Return factor and summand for each value in a line of an image's pixels.

    Lines that long fill the processor's registers, which three values would not.
    """
    means, stds = _numbers(mean, device), _numbers(std, device)
    return (1 / (255 * stds)).repeat(width), (-means / stds).repeat(width)


def _numbers(some: tuple[float, ...], device: Any) -> Tensor:
    """Make a tensor in float32, whatever the caller's default is."""
    return torch.tensor(some, dtype=torch.float32, device=device)
