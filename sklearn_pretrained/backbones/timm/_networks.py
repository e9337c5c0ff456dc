"""Names of timm's networks → backbones with timm's own preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...exceptions import WeightsError
from ...process import remembered
from .._backbone import Weights
from .._skeleton import Weightless, random_network
from .._weights import LocalFile, RandomWeights, missing, without_advice
from ..images._backbone import OfOneFile
from ._files import library, names, record, suggest
from ._preprocessing import TimmPreprocessing


class TimmBackbone(OfOneFile):
    """One of timm's networks.

    Parameters
    ----------
    model : str
        timm's name for it, perhaps with a tag, or ``hf_hub:owner/name``, or ``local-dir:path``.
    weights : str, Path or None
        "default" for those of the tag, the path of a file, or None for random.
    image_size : int or None
        Length of the square that the network reads.
    resize : {"fast", "exact"}
        How images are resized.
    """

    libraries = ("timm", "torchvision")

    preprocessing: TimmPreprocessing

    def __init__(
        self,
        model: str,
        *,
        weights: str | Path | None = "default",
        image_size: int | None = None,
        resize: str = "fast",
    ) -> None:
        self.record = record(model)
        self.model = self.record.name
        self.name = f"timm/{self.model}"
        self.weights = self._choose(weights)
        own_file = isinstance(self.weights, LocalFile | RandomWeights)
        self.revision = None if own_file else self.record.config.get("tag")
        config = library().data.resolve_data_config(pretrained_cfg=self.record.config)
        if config["input_size"][0] != 3:  # noqa: PLR2004
            raise ValueError(
                f"{self.name} takes images with {config['input_size'][0]} channels; only networks "
                "for RGB images are supported."
            )
        own = TimmPreprocessing.of(config, resize)
        self.preprocessing = own.sized(image_size)
        self.grows_by_rebuilding = bool(self.record.config["fixed_input_size"])
        self.has_head = self.record.config["num_classes"] != 0
        classifier = self.record.config["classifier"]
        self.classifiers = (classifier,) if isinstance(classifier, str) else tuple(classifier or ())
        self._arguments = dict(self.record.arguments)
        if self.preprocessing != own and self.grows_by_rebuilding:
            self._arguments["img_size"] = self.preprocessing.crop
            self._check_size(own.crop)

    def _check_size(self, own: int) -> None:
        try:
            self.skeleton(grown=False)
        except Exception as error:
            raise ValueError(
                f"image_size={self.preprocessing.crop}: {self.name} cannot be built for images of "
                f"that size ({error}); it was trained on {own}×{own}. Use image_size=None or a "
                "convolutional network."
            ) from error

    def _choose(self, weights: str | Path | None) -> Weights:
        if weights is None:
            return RandomWeights(self)
        if str(weights) == "default":
            source = self.record.source
            if source is None:
                raise WeightsError(
                    f"timm has no pretrained weights for {self.name}. Pass the path of a file as "
                    "weights, or None for random weights, or choose another network: "
                    "list_backbones(source='timm') shows which have weights."
                )
            return source
        path = Path(weights).expanduser()
        if path.is_file():
            return LocalFile(path.absolute())
        if path.suffix in {".pth", ".pt", ".safetensors", ".bin", ".npz"} or isinstance(
            weights, Path
        ):
            raise missing(path)
        tagged = f"timm/{self.record.architecture}.tag"
        raise WeightsError(
            f"weights={str(weights)!r} is not an existing file. For timm networks, weights is the "
            f"path of a file or 'default'; other pretrained weights have a tag: model={tagged!r}."
        )

    @property
    def architecture(self) -> str:
        """Name and input size: what decides the layers."""
        height, width = self.preprocessing.read_size
        return f"{self.name}@{height}×{width}"

    def _made(self, **arguments: Any) -> nn.Module:
        config = {k: v for k, v in self.record.config.items() if v is not None}
        network = library().create_model(
            self.record.architecture,
            pretrained_cfg=config,
            **{**self._arguments, **arguments},
        )
        if len(self.classifiers) > 1:
            _join_heads(network)
        return network

    def skeleton(self, *, grown: bool) -> nn.Module:
        """Build the network on the meta device."""
        arguments = {}
        if grown and self.grows_by_rebuilding:
            arguments["img_size"] = tuple(2 * size for size in self.preprocessing.read_size)
        try:
            with Weightless():
                network = self._made(**arguments)
        except NotImplementedError:  # its builder computes with what it allocates
            network = random_network(lambda: self._made(**arguments))
        return network.eval().to("meta")

    def classifier(self, network: nn.Module) -> str | None:
        """Name the classifier, as timm's configuration does."""
        if len(self.classifiers) > 1:
            return "joined_heads"
        named = self.classifiers[0] if self.classifiers else ""
        return named if named in dict(network.named_modules()) else None

    def has_class_token(self, network: nn.Module) -> bool:
        """Tell a class token from registers, which stand for nothing."""
        tokens = getattr(network, "num_prefix_tokens", None)
        registers = getattr(network, "num_reg_tokens", None) or 0
        return tokens is None or tokens > registers

    def random(self) -> nn.Module:
        """Build the network with the random weights that a seed decides."""
        return random_network(self._made)

    def build(self) -> nn.Module:
        """Build the network with its verified weights, which timm itself brings into form."""
        if isinstance(self.weights, RandomWeights):
            return self.random()
        self.weights.digest()
        path = self.weights.find()  # type: ignore[attr-defined]
        own = self.record.config["custom_load"] and path.suffix == ".npz"
        overlay = {"file": str(path), "source": "", "custom_load": bool(own)}
        try:
            return random_network(
                lambda: self._made(pretrained=True, pretrained_cfg_overlay=overlay)
            )
        except Exception as error:
            raise WeightsError(
                f"The weights in {path} could not be read as those of {self.name}: "
                f"{without_advice(error)}."
            ) from error


class _JoinedHeads(nn.Module):
    """The way from features to classes of a network with several classifiers.

    None of them reads what timm's ``forward_head(…, pre_logits=True)`` gives, so this gets it.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.whole: list[Any] = [network]  # in a list: it is no part of this one

    def forward(self, _penultimate: Tensor, features: Any) -> Tensor:
        """Classify the features."""
        return self.whole[0].forward_head(features)


def _join_heads(network: nn.Module) -> None:
    whole: Any = network
    whole.joined_heads = _JoinedHeads(network)

    def forward(x: Tensor) -> Tensor:
        features = whole.forward_features(x)
        return whole.joined_heads(whole.forward_head(features, pre_logits=True), features)

    whole.forward = forward


@remembered("descriptions of networks", maxsize=64)
def backbone(model: str, **parameters: Any) -> TimmBackbone:
    """Describe a network, once for equal parameters: a search asks for it in every fit."""
    return TimmBackbone(model, **parameters)


__all__ = ["TimmBackbone", "backbone", "names", "suggest"]
