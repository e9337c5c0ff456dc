"""timm's data configuration → the preprocessing that its own evaluation transform does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from ..images._preprocessing import ImagePreprocessing

_OF_TENSORS = {"nearest", "nearest-exact", "bilinear", "bicubic"}


@dataclass(frozen=True)
class TimmPreprocessing(ImagePreprocessing):
    """Resize, crop or pad, scale to [0, 1], normalise.

    ``resize`` and ``crop`` belong to the height, ``width_resize`` and ``width_crop`` to the width.

    Parameters
    ----------
    share : float
        Of the resized image that the crop keeps along each axis.
    mode : {"center", "squash", "border"}
        Resize the shorter side; both sides; or the longer side, and pad.
    width_resize, width_crop : int
    """

    share: float = 0.875
    mode: str = "center"
    width_resize: int = 0
    width_crop: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any], resizer: str) -> TimmPreprocessing:
        """Read what `timm.data.resolve_data_config` gives."""
        _, height, width = config["input_size"]
        share = float(config["crop_pct"])
        return cls(
            resize=math.floor(height / share),
            crop=height,
            interpolation=str(config["interpolation"]),
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            resizer=resizer,
            share=share,
            mode=str(config["crop_mode"]),
            width_resize=math.floor(width / share),
            width_crop=width,
        )

    def sized(self, size: int | None) -> TimmPreprocessing:
        """Return the same for squares of another size, as timm's ``img_size`` would."""
        if size is None:
            return self
        resize = math.floor(size / self.share)
        return replace(self, resize=resize, crop=size, width_resize=resize, width_crop=size)

    @property
    def keeps_form(self) -> bool:
        """Whether the shorter side is resized."""
        return self.mode == "center"

    @property
    def read_size(self) -> tuple[int, int]:
        """Height and width of what the network reads."""
        return self.crop, self.width_crop

    @property
    def _by_pillow(self) -> bool:
        return super()._by_pillow or self.interpolation not in _OF_TENSORS

    def _fitted(self, image: Any) -> Any:
        size = list(self.read_size)
        mode = InterpolationMode(self.interpolation)
        small = tvf.resize(image, self._target(image), interpolation=mode, antialias=True)
        if self.mode == "border":
            small = _padded(small, size, [round(255 * value) for value in self.mean])
        return tvf.center_crop(small, size)

    def _target(self, image: Any) -> list[int]:
        if self.mode == "squash":
            return [self.resize, self.width_resize]
        if self.mode != "border" and self.resize == self.width_resize:
            return [self.resize]
        height, width = tvf.get_size(image)
        ratios = height / self.resize, width / self.width_resize
        ratio = max(ratios) if self.mode == "border" else min(ratios)
        return [round(height / ratio), round(width / ratio)]


def _padded(image: Any, size: list[int], colour: list[int]) -> Any:
    """Put borders around an image that is smaller than ``size``."""
    height, width = tvf.get_size(image)
    down, across = max(size[0] - height, 0), max(size[1] - width, 0)
    borders = [across // 2, down // 2, (across + 1) // 2, (down + 1) // 2]
    if not any(borders):
        return image
    if not isinstance(image, Tensor):
        return tvf.pad(image, borders, fill=colour)
    left, top, right, bottom = borders
    framed = torch.tensor(colour, dtype=image.dtype)[:, None, None].repeat(
        1, height + top + bottom, width + left + right
    )
    framed[:, top : top + height, left : left + width] = image
    return framed
