"""BLIP's configuration → its image tower or its text tower, each with its projection.

transformers has classes for the pairs of towers only.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import BlipVisionModel
from transformers.models.blip.modeling_blip import BlipPreTrainedModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

_RETRIEVAL = "BlipForImageTextRetrieval"


def projections(config: Any) -> tuple[str, str] | None:
    """Name the projections of images and of texts; None where there are none (captioning)."""
    named = (config.architectures or [""])[0]
    return {
        "BlipModel": ("visual_projection", "text_projection"),
        _RETRIEVAL: ("vision_proj", "text_proj"),
    }.get(named)


def _linear(config: Any, width: int, name: str) -> nn.Linear:
    if name.endswith("_proj"):
        return nn.Linear(width, config.image_text_hidden_size)
    return nn.Linear(width, config.projection_dim, bias=False)


class BlipImageTower(BlipPreTrainedModel):
    """BLIP's image encoder and what projects its pooled output."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.vision_model = BlipVisionModel(config.vision_config)
        names = projections(config)
        if names is not None:
            setattr(self, names[0], _linear(config, config.vision_config.hidden_size, names[0]))
        self._projection = names[0] if names else None
        self.post_init()

    def forward(self, pixel_values: Tensor) -> Any:
        """Return the last hidden state, with the projection behind it where there is one."""
        out = self.vision_model(pixel_values=pixel_values)
        if self._projection is None:
            return out
        first = out.last_hidden_state[:, 0]
        pooled = first if self._projection == "vision_proj" else out.pooler_output
        return out.last_hidden_state, getattr(self, self._projection)(pooled)


class BlipTextTower(BlipPreTrainedModel):
    """BLIP's text encoder and what projects its pooled output."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        names = projections(config)
        is_whole = "BlipModel" in (config.architectures or [])  # others have no pooler
        self._encoder = "text_model" if is_whole else "text_encoder"
        encoder = BlipTextModel(config.text_config, add_pooling_layer=is_whole)
        setattr(self, self._encoder, encoder)
        if names is not None:
            setattr(self, names[1], _linear(config, config.text_config.hidden_size, names[1]))
        self._projection = names[1] if names else None
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        """Return the last hidden state, with the projection behind it where there is one."""
        out = getattr(self, self._encoder)(input_ids=input_ids, attention_mask=attention_mask)
        if self._projection is None:
            return out
        first = out.last_hidden_state[:, 0]
        pooled = first if self._projection == "text_proj" else out.pooler_output
        return out.last_hidden_state, getattr(self, self._projection)(pooled)
