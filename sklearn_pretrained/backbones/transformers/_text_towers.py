"""CLIP, SigLIP or BLIP → the tower that reads texts, up to the space it shares with images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from .._backbone import Backbone, Sequences
from .._weights import RandomWeights
from . import _loading as _transformers
from ._folders import is_vision, read_json
from ._seen_folder import SeenFolder
from ._text import TextBackbone, meaningless
from ._towers import Tower, hidden_states, text_tower
from ._windowed import WindowedTexts

_KINDS = {"blip", "clip", "siglip"}


class TextTowerBackbone(TextBackbone):
    """The text tower of a network over images and texts.

    Takes what `TextBackbone` takes. Nothing of the image tower is loaded.
    """

    also_kept = ("projection",)
    names_hidden_states = False

    def _configuration(self) -> Any:
        config = _transformers.config(self.folder, self.version)
        self.is_padded = config.model_type == "siglip"
        self.tower: Tower = text_tower(config, self.folder.name)
        return getattr(self.tower.config, "text_config", self.tower.config)

    @property
    def architecture(self) -> str:
        """The class and its configuration."""
        return f"{self.name}:{self.tower.kind.__name__}:{self.tower.config.to_json_string()}"

    def windowed(self, stride: int) -> WindowedTexts:
        if self.is_padded:
            raise ValueError(
                f"truncation='windows' is not defined for {self.name}, which reads padding as a "
                "part of every text. Pass truncation='cut'."
            )
        return super().windowed(stride)

    def recipe(self) -> dict[str, Any]:
        """Return what a text encoder's recipe holds, and the tower."""
        return {**super().recipe(), "tower": self.tower.kind.__name__}

    def rehearse(self, network: nn.Module, batch: int, *, grown: bool) -> Any:
        """Run a skeleton over tokens that mean nothing; `places` names its hidden states."""
        return self.call(network, meaningless(batch, grown=grown))

    def places(self, network: nn.Module) -> dict[str, tuple[str, str]]:
        """Name the hidden states as transformers counts them, and both ends of the projection."""
        found = hidden_states(network, self.config)
        if self.tower.projection is not None:
            found["penultimate"] = (self.tower.projection, "input")
            found["projection"] = (self.tower.projection, "output")
        return found

    def empty(self) -> nn.Module:
        """Build the tower, its weights whatever they are."""
        return _transformers.build(self.tower.kind, self.tower.config)

    def build(self) -> nn.Module:
        """Load the tower from its folder; nothing else is read, and no code is run."""
        if isinstance(self.weights, RandomWeights):
            return self.random()
        self.weights.digest()
        return _transformers.load(self.folder, self.tower.config, self.tower.kind)

    def prepare(self, contents: Sequence[Any]) -> list[Any]:
        """Turn texts into tokens; SigLIP reads padding as a part of every text."""
        return self._filled(super().prepare(contents))

    def example(self) -> list[Any] | None:
        """Return two texts, which take the way of all others."""
        samples = super().example()
        return samples and self._filled(samples)

    def _filled(self, samples: list[Any]) -> list[Any]:
        if self.is_padded:
            padding = self.tokenizer.pad_token_id or 0
            for sample in samples:
                if isinstance(sample, dict):
                    ids = sample["input_ids"]
                    ids += [padding] * (self.max_length - len(ids))
        return samples

    def sequences(self) -> Sequences | None:
        """Describe the tokens where later ones are seen, in a row whose places matter."""
        if self.config.model_type != "blip_text_model":
            return None
        return Sequences(self.config.vocab_size, self.tokenizer.pad_token_id or 0)


def backbone(model: str, **parameters: Any) -> Backbone:
    """Describe what reads texts: an encoder, or the text tower of a network over both."""
    weights = parameters.get("weights")
    revision = weights if weights not in {None, "default"} else None
    seen = SeenFolder(model, revision)
    kind = read_json(seen.path / "config.json").get("model_type")
    if kind not in _KINDS and is_vision(seen.path):
        raise ValueError(
            f"model={model!r} is an image network (of type {kind!r}): use "
            "PretrainedImageFeaturizer. Text towers are supported for CLIP, SigLIP and BLIP."
        )
    found = (TextTowerBackbone if kind in _KINDS else TextBackbone)(model, **parameters)
    seen.note(_transformers.config(found.folder, found.version))
    found.seen = seen
    return found
