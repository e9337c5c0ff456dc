"""A transformers image processor → the same preprocessing over decoded pixels, and as fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from ..images._preprocessing import ImagePreprocessing

Size = tuple[int, int]
STEPS = ("_preprocess", "resize", "rescale", "normalize", "center_crop", "rescale_and_normalize")
_UNDERSTOOD = frozenset(
    {
        *("BeitImageProcessor", "ConvNextImageProcessor", "DINOv3ViTImageProcessor"),
        *("EfficientNetImageProcessor", "LevitImageProcessor", "MobileNetV2ImageProcessor"),
        *("MobileViTImageProcessor", "SegformerImageProcessor"),
    }
)
"""Processors with steps of their own that `read` knows."""


@dataclass(frozen=True)
class ProcessorSteps(ImagePreprocessing):
    """Resize to a shape or by the shorter side, crop the centre, scale and normalise.

    ``mean`` and ``std`` are those of pixels between 0 and 1, whatever the processor's own units;
    ``crop`` is the height of what the network reads.

    Parameters
    ----------
    shape : (int, int) or None
        Height and width after resizing; None resizes the shorter side to ``resize``.
    cut : (int, int) or None
        Height and width of the centre that is cut out.
    swapped : bool
        Whether blue comes first.
    as_floats : bool
        Whether resized pixels are not rounded.
    """

    shape: Size | None = None
    cut: Size | None = None
    swapped: bool = False
    as_floats: bool = False

    @property
    def read_size(self) -> Size:
        """Height and width of what the network reads."""
        size = self.cut or self.shape
        assert size is not None
        return size

    def sized(self, size: int | None) -> ProcessorSteps:
        """Return the same for another input size, with the same share of each image."""
        height, width = self.read_size
        if size is None or size == height == width:
            return self
        return replace(
            self,
            resize=round(self.resize * size / height),
            crop=size,
            shape=self.shape
            and (round(self.shape[0] * size / height), round(self.shape[1] * size / width)),
            cut=self.cut and (size, size),
        )

    @property
    def keeps_form(self) -> bool:
        """Whether the shorter side is resized."""
        return self.shape is None

    def _resized(self, image: NDArray[np.uint8]) -> Tensor:
        mode = InterpolationMode(self.interpolation)
        shape = list(self.shape or _by_shorter_side(image.shape, self.resize))
        if self.resizer == "exact" and not self.as_floats:
            from PIL import Image

            small = tvf.resize(Image.fromarray(image), shape, interpolation=mode)
            pixels = tvf.pil_to_tensor(small)
        else:
            pixels = torch.from_numpy(image).permute(2, 0, 1)
            pixels = pixels.float() if self.as_floats else pixels
            pixels = tvf.resize(pixels, shape, interpolation=mode, antialias=True)
        if self.cut is not None:
            pixels = _centre(pixels, self.cut)
        return pixels.flip(0) if self.swapped else pixels


def _by_shorter_side(shape: Sequence[int], length: int) -> Size:
    height, width = shape[:2]
    if width <= height:
        return int(length * height / width), length
    return length, int(length * width / height)


def _centre(pixels: Tensor, size: Size) -> Tensor:
    """Cut out the centre as transformers does, which rounds down; black surrounds a small image."""
    height, width = pixels.shape[-2:]
    tall, wide = max(size[0] - height, 0), max(size[1] - width, 0)
    if tall or wide:
        pixels = tvf.pad(pixels, [wide // 2, tall // 2, (wide + 1) // 2, (tall + 1) // 2])
    top, left = (pixels.shape[-2] - size[0]) // 2, (pixels.shape[-1] - size[1]) // 2
    return pixels[..., top : top + size[0], left : left + size[1]]


def read(processor: Any, name: str) -> ProcessorSteps:
    """Turn a processor of transformers into steps; refuse one that does anything else.

    Parameters
    ----------
    processor : transformers' image processor
        In its torchvision form.
    name : str
        The network, for errors.
    """
    kind = type(processor).__name__
    if not _is_plain(processor):
        raise ValueError(
            f"{name} prepares its images with {kind}, which does more than resize, crop and "
            "normalise, and is not supported. Pass the network as a module with preprocessing."
        )
    get = processor.to_dict().get
    if get("do_pad"):
        raise ValueError(f"{name}: its {kind} pads images (do_pad), which is not supported.")
    shape, shorter, cut = _sizes(processor, kind)
    if (shape or cut) is None:
        raise ValueError(f"{name}: its {kind} does not resize images to one size.")
    mean, std = _line(processor, get)
    interpolation = _interpolation(processor.resample)
    return ProcessorSteps(
        resize=shorter,
        crop=(cut or shape or (0, 0))[0],
        interpolation=interpolation,
        mean=mean,
        std=std,
        shape=shape,
        cut=cut,
        swapped=bool(get("do_flip_channel_order")),
        as_floats=kind == "DINOv3ViTImageProcessor",
    )


def _is_plain(processor: Any) -> bool:
    from transformers.image_processing_backends import TorchvisionBackend

    kind = type(processor)
    if not issubclass(kind, TorchvisionBackend):
        return False
    own = [step for step in STEPS if getattr(kind, step) is not getattr(TorchvisionBackend, step)]
    return not own or kind.__name__ in _UNDERSTOOD


def _sizes(processor: Any, kind: str) -> tuple[Size | None, int, Size | None]:
    """Return the shape to resize to, else the shorter side, and the shape to cut out."""
    size, crop = processor.size, processor.crop_size
    cut = (crop.height, crop.width) if processor.do_center_crop else None
    if not processor.do_resize:
        return None, 0, cut
    if size.height and size.width:
        return (size.height, size.width), size.height, cut
    shorter = size.shortest_edge
    if not shorter or size.longest_edge:
        return None, 0, None
    if kind == "LevitImageProcessor":
        shorter = int((256 / 224) * shorter)
    elif kind == "ConvNextImageProcessor":
        if shorter >= _WARPED_FROM:
            return (shorter, shorter), shorter, cut
        return None, int(shorter / processor.crop_pct), cut or (shorter, shorter)
    return None, shorter, cut


_WARPED_FROM = 384  # ConvNeXt's processor crops smaller images, and warps larger ones


def _line(processor: Any, get: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Bring the scale and the normalisations into one mean and deviation of pixels in [0, 1]."""
    factor = np.float64(processor.rescale_factor if processor.do_rescale else 1.0)
    scale, shift = np.full(3, factor), np.zeros(3)
    if processor.do_rescale and get("rescale_offset"):
        shift -= 1
    if processor.do_normalize:
        std = np.broadcast_to(np.float64(processor.image_std), 3)
        scale, shift = scale / std, (shift - np.float64(processor.image_mean)) / std
    if type(processor).__name__ == "EfficientNetImageProcessor" and get("include_top"):
        std = np.broadcast_to(np.float64(processor.image_std), 3)
        scale, shift = scale / std, shift / std
    std = 1 / (255 * scale)
    return tuple(map(float, -shift * std)), tuple(map(float, std))


def _interpolation(resample: Any) -> str:
    from transformers.image_utils import PILImageResampling

    if isinstance(resample, InterpolationMode):
        return str(resample.value)
    found = PILImageResampling(2 if resample is None else resample).name.lower()
    return {"none": "nearest"}.get(found, found)
