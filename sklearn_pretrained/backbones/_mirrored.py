"""A backbone over images → the same one, seeing each image and its mirror image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor

from ._backbone import Backbone


class _Mirrored:
    """Gives two views of each batch; all else is the backbone's own."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def recipe(self) -> dict[str, Any]:
        return {**self._backbone.recipe(), "augment": "flip"}

    def views(self, batch: Any) -> Sequence[Any]:
        return [batch, _mirror(batch)]


def _mirror(batch: Any) -> Any:
    if isinstance(batch, Mapping) and "pixel_values" in batch:
        return {**batch, "pixel_values": _mirror(batch["pixel_values"])}
    if isinstance(batch, Tensor) and batch.ndim == 4:  # noqa: PLR2004
        return batch.flip(-1)
    raise ValueError(
        "augment='flip' mirrors batches of images (N, C, H, W), which this network does not read; "
        "use augment=None."
    )


def mirrored(backbone: Backbone) -> Backbone:
    """Let a backbone see prepared images from both sides."""
    return cast("Backbone", _Mirrored(backbone))
