"""A backbone over images → the same one, seeing each image and its mirror image, or the latter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..._process import remembered
from ...exceptions import LayerError
from .._backbone import Backbone

if TYPE_CHECKING:
    _Base = Backbone
else:
    _Base = object


class _BothSides(_Base):
    """Gives two views of each batch; all else is what the other base class does."""

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "augment": "flip"}  # type: ignore[safe-super]

    def views(self, batch: Any) -> Sequence[Any]:
        return [batch, _mirror(batch)]


class _OtherSide(_Base):
    """Gives the mirror image of each image alone."""

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), "augment": "mirror"}  # type: ignore[safe-super]

    def views(self, batch: Any) -> Sequence[Any]:
        return [_mirror(batch)]


def _mirror(batch: Any) -> Any:
    if isinstance(batch, Mapping) and "pixel_values" in batch:
        return {**batch, "pixel_values": _mirror(batch["pixel_values"])}
    if isinstance(batch, Tensor) and batch.ndim == 4:  # noqa: PLR2004
        return batch.flip(-1)
    raise LayerError(
        "augment='flip' mirrors batches of images (N, C, H, W), but this network takes other "
        "inputs. Use augment=None."
    )


@remembered("kinds of networks that see mirror images")
def _mirrored_kind(kind: type[Backbone]) -> Any:
    return type(f"Mirrored{kind.__name__}", (_BothSides, kind), {"__module__": kind.__module__})


@remembered("kinds of networks that see mirror images alone")
def _mirror_only_kind(kind: type[Backbone]) -> Any:
    return type(f"MirrorOnly{kind.__name__}", (_OtherSide, kind), {"__module__": kind.__module__})


def mirrored(backbone: Backbone) -> Backbone:
    """Let a backbone see prepared images from both sides."""
    return _as(_mirrored_kind(type(backbone)), backbone)


def mirror_only(backbone: Backbone) -> Backbone:
    """Let a backbone see the mirror images of prepared images."""
    return _as(_mirror_only_kind(type(backbone)), backbone)


def _as(kind: Any, backbone: Backbone) -> Backbone:
    twin: Backbone = kind.__new__(kind)
    vars(twin).update(vars(backbone))
    return twin
