"""A folder's configuration → the class, and its configuration, that reads images or texts."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Tower:
    """What is loaded of a folder.

    Parameters
    ----------
    kind : type
        A class of transformers'.
    config : object
        Its configuration.
    pooled : str
        Submodule that gives what is read by "penultimate"; empty where that is the output.
    projection : str or None
        Submodule that gives the features in the space that images and texts share.
    has_head : bool
        Whether it ends in a classifier.
    """

    kind: Any
    config: Any
    pooled: str = ""
    projection: str | None = None
    has_head: bool = False


_OWN_POOLED = {
    "blip_vision_model": "post_layernorm",
    "clip_vision_model": "post_layernorm",
    "convnext": "layernorm",
    "convnextv2": "layernorm",
    "siglip_vision_model": "head",
}
"""Submodules behind the pooled output where it is not called pooler."""

_CLASSIFIER = "ForImageClassification"


def image_tower(config: Any) -> Tower:
    """Choose what reads images."""
    import transformers

    kind = config.model_type
    named = (config.architectures or [""])[0]
    if _CLASSIFIER in named and hasattr(transformers, named):
        teacher = "deit.layernorm" if named.startswith("DeiT") and "Teacher" in named else ""
        return Tower(getattr(transformers, named), config, teacher, has_head=True)
    if kind == "clip":
        inner = copy.copy(config.vision_config)
        inner.projection_dim = config.projection_dim
        return Tower(
            transformers.CLIPVisionModelWithProjection, inner, "vision_model.post_layernorm",
            "visual_projection",
        )  # fmt: skip
    if kind == "siglip":
        return Tower(transformers.SiglipVisionModel, config.vision_config, "head", "head")
    if kind == "blip":
        from ._blip import BlipImageTower, projections

        names = projections(config)
        return Tower(
            BlipImageTower, config, "vision_model.post_layernorm", names[0] if names else None
        )
    if named == "CLIPVisionModelWithProjection":
        return Tower(
            transformers.CLIPVisionModelWithProjection, config, "vision_model.post_layernorm",
            "visual_projection",
        )  # fmt: skip
    pooled = _OWN_POOLED.get(kind, "pooler")
    projection = "head" if kind == "siglip_vision_model" else None
    return Tower(transformers.AutoModel, config, pooled, projection)


def text_tower(config: Any, name: str) -> Tower:
    """Choose what reads texts in a network over images and texts."""
    import transformers

    kind = config.model_type
    if kind == "clip":
        inner = copy.copy(config.text_config)
        inner.projection_dim = config.projection_dim
        return Tower(transformers.CLIPTextModelWithProjection, inner, projection="text_projection")
    if kind == "siglip":
        return Tower(transformers.SiglipTextModel, config.text_config, projection="head")
    if kind == "blip":
        from ._blip import BlipTextTower, projections

        names = projections(config)
        if "ConditionalGeneration" in (config.architectures or [""])[0]:
            raise ValueError(
                f"{name} generates captions and has no separate text encoder. Use a BLIP for "
                "image-text retrieval."
            )
        return Tower(BlipTextTower, config, projection=names[1] if names else None)
    raise ValueError(f"{name} is of type {kind!r}, whose text tower is not supported.")


def place_of_pooled(tower: Tower, network: nn.Module) -> str:
    """Name the submodule whose output "penultimate" is; empty for the network itself.

    A pooler that multiplies by weights (ViT's and BERT's) served another task, and classifiers
    read what comes before it.
    """
    if not tower.pooled or not hasattr(network, tower.pooled.partition(".")[0]):
        return ""
    try:
        module = network.get_submodule(tower.pooled)
    except AttributeError:  # an attribute that is None
        return ""
    is_dense = tower.pooled == "pooler" and any(p.ndim > 1 for p in module.parameters())
    return "" if is_dense else tower.pooled


def hidden_states(network: nn.Module, config: Any) -> dict[str, tuple[str, str]]:
    """Name the states between a transformer's blocks as transformers counts them.

    The blocks are the list of as many parts as the configuration has layers. Networks in stages
    have widths of their own in each, and are read by their stages instead.
    """
    n = getattr(config, "num_hidden_layers", None)
    if not isinstance(n, int) or hasattr(config, "depths") or hasattr(config, "depth"):
        return {}
    lists = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n
    ]
    if not lists:
        return {}
    blocks = min(lists, key=lambda path: path.count("."))
    outputs = {f"hidden_{i + 1}": (f"{blocks}.{i}", "output") for i in range(n)}
    return {"hidden_0": (f"{blocks}.0", "input"), **outputs}
