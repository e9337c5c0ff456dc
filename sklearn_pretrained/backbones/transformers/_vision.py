"""A network of transformers over images → a backbone with the folder's own preprocessing."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...process import remembered
from .._backbone import Backbone, Weights
from .._skeleton import Weightless, random_network
from .._weights import RandomWeights
from ..images._backbone import ImageBackbone
from . import _loading as _transformers
from ._folders import FolderWeights, find_folder, folder_digest, is_vision
from ._seen_folder import OfFolder, SeenFolder
from ._towers import hidden_states, image_tower, place_of_pooled
from ._vision_processing import ProcessorSteps, read

_ANY_SIZE = frozenset(
    {
        *("bit", "convnext", "convnextv2", "cvt", "dinov2", "dinov2_with_registers"),
        *("dinov3_convnext", "dinov3_vit", "efficientnet", "focalnet", "mobilenet_v1"),
        *("mobilenet_v2", "mobilevit", "mobilevitv2", "poolformer", "regnet", "resnet"),
        *("swin", "swinv2"),
    }
)
"""Networks without fixed positions, and those that always fit theirs to the image."""


class VisionBackbone(OfFolder, ImageBackbone):
    """A network of transformers that reads images, or the image tower of one.

    Parameters
    ----------
    model : str
        Name on the hub, or a local folder.
    weights : str or None
        Revision on the hub, "default", or None for random weights.
    image_size : int or None
        Length of the square that the network reads.
    resize : {"fast", "exact"}
        How images are resized.
    """

    preprocessing: ProcessorSteps
    grows_by_rebuilding = True

    def __init__(
        self,
        model: str,
        *,
        weights: str | Path | None = "default",
        image_size: int | None = None,
        resize: str = "fast",
    ) -> None:
        revision = str(weights) if weights not in {None, "default"} else None
        self.folder = find_folder(model, revision, what="network")
        self.version = folder_digest(self.folder)
        config = _transformers.config(self.folder, self.version)
        is_local = self.folder == Path(model).expanduser().absolute()
        self.name = self.folder.name if is_local else model
        if not is_vision(self.folder):
            raise ValueError(
                f"{self.name} has no preprocessor_config.json, so its image preprocessing is not "
                f"known (its type is {config.model_type!r}). For texts use "
                "PretrainedTextFeaturizer; other networks can be passed as a module with "
                "preprocessing."
            )
        self.tower = image_tower(config)
        self.has_head = self.tower.has_head
        self.is_pretrained = weights is not None
        self.weights: Weights = (
            RandomWeights(self) if weights is None else FolderWeights(self.folder)
        )
        steps = read(_transformers.image_processor(self.folder, self.version), self.name)
        if image_size not in {None, steps.crop} and config.model_type not in _ANY_SIZE:
            raise ValueError(
                f"image_size={image_size}: {self.name} accepts only images of {steps.read_size[0]}×"
                f"{steps.read_size[1]}, since its position embeddings are fixed. Use "
                "image_size=None, a convolutional network or DINOv2."
            )
        self.preprocessing = replace(steps.sized(image_size), resizer=resize)

    @property
    def architecture(self) -> str:
        """The class, its configuration and the size of its input: what decides the layers."""
        size = self.preprocessing.read_size
        kind = self.tower.kind.__name__
        return (
            f"{self.name}@{size}:{kind}:{self.is_pretrained}:{self.tower.config.to_json_string()}"
        )

    def recipe(self) -> dict[str, Any]:
        """Return what the folder says, and the preprocessing."""
        return {
            "network": "transformers",
            "tower": self.tower.kind.__name__,
            "folder": self.version,
            "preprocessing": self.preprocessing.describe(),
        }

    def skeleton(self, *, grown: bool) -> nn.Module:
        """Build the network on the meta device."""
        config = _grown(self.tower.config) if grown else self.tower.config
        with Weightless():
            return _transformers.build(self.tower.kind, config).eval().to("meta")

    def places(self, network: nn.Module) -> dict[str, tuple[str, str]]:
        """Name the hidden states as transformers counts them, the pooled output, the projection."""
        config = self.tower.config
        found = hidden_states(network, getattr(config, "vision_config", config))
        pooled = place_of_pooled(self.tower, network)
        if pooled or not self.has_head:
            found["penultimate"] = (pooled, "output")
        if self.tower.projection is not None:
            found["projection"] = (self.tower.projection, "output")
        return found

    def random(self) -> nn.Module:
        """Build the network with the random weights that a seed decides."""
        return random_network(lambda: _transformers.build(self.tower.kind, self.tower.config))

    def build(self) -> nn.Module:
        """Load the network from its folder, without what reads texts; no code is run."""
        if isinstance(self.weights, RandomWeights):
            return self.random()
        self.weights.digest()
        return _transformers.load(self.folder, self.tower.config, self.tower.kind)

    def call(self, network: nn.Module, batch: Tensor) -> Any:
        """Run the network."""
        return network(pixel_values=batch)


@remembered("descriptions of networks", maxsize=64)
def _described(
    model: str,
    folder: Path,  # noqa: ARG001
    version: str,  # noqa: ARG001
    **parameters: Any,
) -> VisionBackbone:
    return VisionBackbone(model, **parameters)


def backbone(model: str, **parameters: Any) -> Backbone:
    """Describe a network, once for equal parameters while its folder stays what it was."""
    weights = parameters.get("weights")
    revision = str(weights) if weights not in {None, "default"} else None
    seen = SeenFolder(model, revision, what="network")
    found = copy.copy(_described(model, seen.path, folder_digest(seen.path), **parameters))
    seen.note(_transformers.config(found.folder, found.version))
    found.seen = seen
    return found


def _grown(config: Any) -> Any:
    """Return a configuration for images of twice the height and width."""
    config = copy.deepcopy(config)
    inner = getattr(config, "vision_config", config)
    size = getattr(inner, "image_size", None)
    if isinstance(size, int):
        inner.image_size = 2 * size
    elif size is not None:
        inner.image_size = [2 * n for n in size]
    return config
