"""A backbone over images → the same one, seeing each image and its mirror image, or the latter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ...exceptions import LayerError
from ...process import remembered
from .._backbone import Backbone


def _mirror(batch: Any) -> Any:
    if isinstance(batch, Mapping) and "pixel_values" in batch:
        return {**batch, "pixel_values": _mirror(batch["pixel_values"])}
    if isinstance(batch, Tensor) and batch.ndim == 4:  # noqa: PLR2004
        return batch.flip(-1)
    raise LayerError(
        "augment='flip' mirrors batches of images (N, C, H, W), but this network takes other "
        "inputs. Use augment=None."
    )


_VIEWS: dict[str, Callable[[Any], Sequence[Any]]] = {
    "flip": lambda batch: [batch, _mirror(batch)],
    "mirror": lambda batch: [_mirror(batch)],
}


@remembered("kinds of networks that see mirror images")
def _kind(kind: Any, augment: str) -> Any:
    def recipe(self: Backbone) -> dict[str, Any]:
        return {**kind.recipe(self), "augment": augment}

    def views(_self: Backbone, batch: Any) -> Sequence[Any]:
        return _VIEWS[augment](batch)

    own = {"__module__": kind.__module__, "recipe": recipe, "views": views}
    return type(f"{augment.capitalize()}{kind.__name__}", (kind,), own)


def mirrored(backbone: Backbone) -> Backbone:
    """Let a backbone see prepared images from both sides."""
    return _as(_kind(type(backbone), "flip"), backbone)


def mirror_only(backbone: Backbone) -> Backbone:
    """Let a backbone see the mirror images of prepared images."""
    return _as(_kind(type(backbone), "mirror"), backbone)


def _as(kind: Any, backbone: Backbone) -> Backbone:
    twin: Backbone = kind.__new__(kind)
    vars(twin).update(vars(backbone))
    return twin
