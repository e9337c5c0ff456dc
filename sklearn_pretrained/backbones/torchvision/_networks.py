"""Names of torchvision's classifiers → backbones with the preprocessing of their weights."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torchvision
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_builder, get_model_weights, list_models

from ...exceptions import WeightsError
from ...process import remembered
from .._backbone import Weights
from .._skeleton import Weightless, random_network
from .._weights import EMBEDDED, LocalFile, RandomWeights, TorchHubFile, fill, missing, read
from ..images._backbone import OfOneFile
from ..images._preprocessing import ImagePreprocessing

SHIPPED = {
    "mobilenet_v2": (
        "IMAGENET1K_V1",
        "mobilenet_v2.safetensors",
        "67323f2f42577a7f12640fed2ffa08d578090ee04e0017da97010d0625555294",
    )
}
"""Weights inside this package: the name torchvision gives them, the file, its SHA-256."""

_WITH_TRANSFORMED_INPUT = {"inception_v3", "googlenet"}
_FIXED_SIZE = ("vit_", "maxvit")


@remembered("torchvision's list of networks")
def names() -> tuple[str, ...]:
    """List torchvision's classifiers."""
    return tuple(list_models(module=torchvision.models))


def suggest(name: str) -> list[str]:
    """List the names nearest to a mistaken one."""
    return difflib.get_close_matches(name.lower(), names(), n=3, cutoff=0.3)


class TorchvisionBackbone(OfOneFile):
    """One of torchvision's classifiers.

    Parameters
    ----------
    model : str
        torchvision's name for it.
    weights : str, Path or None
        torchvision's name for the weights, "default", the path of a file, or None for random.
    image_size : int or None
        Length of the square that the network reads.
    resize : {"fast", "exact"}
        How images are resized.
    """

    def __init__(
        self,
        model: str,
        *,
        weights: str | Path | None = "default",
        image_size: int | None = None,
        resize: str = "fast",
    ) -> None:
        self.model = model
        self.name = f"torchvision/{model}"
        entry, self.weights = self._choose(weights)
        self.is_pretrained = weights is not None
        is_own = isinstance(self.weights, LocalFile) and self.weights.path.parent != EMBEDDED
        self.revision = entry.name if self.is_pretrained and not is_own else None
        preset = entry.transforms()
        self.own_size = int(preset.crop_size[0])
        self.preprocessing = ImagePreprocessing(
            resize=int(preset.resize_size[0]),
            crop=self.own_size,
            interpolation=preset.interpolation.value,
            mean=tuple(preset.mean),
            std=tuple(preset.std),
        )
        if model.startswith(_FIXED_SIZE) and image_size not in {None, self.own_size}:
            raise ValueError(
                f"image_size={image_size}: {model} accepts only images of {self.own_size}×"
                f"{self.own_size}, since its position embeddings are fixed. Use image_size=None "
                "or a convolutional network."
            )
        self.preprocessing = replace(self.preprocessing.sized(image_size), resizer=resize)
        self.grows_by_rebuilding = model.startswith(_FIXED_SIZE)

    def _choose(self, weights: str | Path | None) -> tuple[Any, Weights]:
        entries = get_model_weights(self.model)
        if isinstance(weights, WeightsEnum):
            if not isinstance(weights, entries):
                raise WeightsError(
                    f"weights={weights} does not belong to {self.model}, whose weights are "
                    f"{', '.join(entries.__members__)}."
                )
            weights = weights.name
        if weights is None:
            return entries.DEFAULT, RandomWeights(self)
        named = str(weights).rpartition(".")[2] if not isinstance(weights, Path) else ""
        shipped = SHIPPED.get(self.model)
        if shipped is not None and named in {"default", shipped[0]}:
            return entries[shipped[0]], LocalFile(EMBEDDED / shipped[1], shipped[2])
        if str(weights) == "default":
            named = entries.DEFAULT.name
        if named in entries.__members__:
            url = entries[named].url
            prefix = re.search(r"-([0-9a-f]{8,})\.", url)
            return entries[named], TorchHubFile(url, prefix.group(1) if prefix else "")
        path = Path(weights).expanduser()
        if path.is_file():
            return entries.DEFAULT, LocalFile(path.absolute())
        if path.suffix in {".pth", ".pt", ".safetensors", ".bin"} or isinstance(weights, Path):
            raise missing(path)
        raise WeightsError(
            f"weights={str(weights)!r} is neither a file nor one of torchvision's weights for "
            f"{self.model}: {', '.join(entries.__members__)} (or 'default')."
        )

    @property
    def architecture(self) -> str:
        """Name, input size and torchvision's version: what decides the layers."""
        return f"{self.name}@{self.preprocessing.crop}:{self.is_pretrained}"

    def _builder_arguments(self, *, grown: bool = False) -> dict[str, Any]:
        arguments: dict[str, Any] = {"weights": None}
        if self.model in _WITH_TRANSFORMED_INPUT:
            # Both were trained with auxiliary heads, which a frozen forward never reaches, and
            # their pretrained weights expect inputs that they renormalise themselves.
            arguments |= {"init_weights": False, "aux_logits": True}
            arguments["transform_input"] = self.is_pretrained
        if self.model.startswith(_FIXED_SIZE):
            side = self.own_size * (2 if grown else 1)
            is_vit = self.model.startswith("vit_")
            arguments |= {"image_size": side} if is_vit else {"input_size": (side, side)}
        return arguments

    def skeleton(self, *, grown: bool) -> nn.Module:
        """Build the classifier on the meta device."""
        arguments = self._builder_arguments(grown=grown)
        with Weightless():
            return get_model_builder(self.model)(**arguments).eval().to("meta")

    def random(self) -> nn.Module:
        """Build the network with the random weights that a seed decides."""
        return random_network(lambda: get_model_builder(self.model)(**self._builder_arguments()))

    def build(self) -> nn.Module:
        """Build the classifier and fill it with its verified weights."""
        if isinstance(self.weights, RandomWeights):
            return self.random()
        assert isinstance(self.weights, LocalFile | TorchHubFile)
        self.weights.digest()
        with Weightless():
            network = get_model_builder(self.model)(**self._builder_arguments())
        path = self.weights.find()
        fill(network, _renamed(read(path), network), str(path))
        return network


@remembered("descriptions of networks", maxsize=64)
def backbone(model: str, **parameters: Any) -> TorchvisionBackbone:
    """Describe a classifier, once for equal parameters: a search asks for it in every fit."""
    return TorchvisionBackbone(model, **parameters)


_OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


def _renamed(state: Mapping[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
    """Give DenseNet's old files the names of today."""
    if type(network).__name__ != "DenseNet":
        return state
    return {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}
