"""What a user writes as ``model`` → a backbone; a source is imported when it is asked for."""

from __future__ import annotations

import os
from typing import Any

from ..process import need_torchvision
from ._backbone import Backbone
from ._sources import find_source


def find(model: Any, **parameters: Any) -> Backbone:
    """Find the backbone that ``model`` names, of images or texts, without loading it.

    Parameters
    ----------
    model : str, nn.Module, callable or ModuleHandle
    **parameters
        What the source takes: ``weights``, ``image_size``, ``preprocessing``, ``max_length``, …
    """
    if isinstance(model, str) and _is_of_transformers(model) and _reads_texts(model, parameters):
        return find_text(model, **parameters)
    return find_image(model, **parameters)


def _is_of_transformers(model: str) -> bool:
    """Tell a name on the hub, or a folder, from the networks of other sources."""
    if os.path.isdir(os.path.expanduser(model)):  # noqa: PTH111, PTH112  asked for each request
        return True
    if model.endswith(".pt2"):
        return False
    prefix, slash, _ = model.partition("/")
    return bool(slash) and find_source(prefix) is None


def _reads_texts(model: str, parameters: dict[str, Any]) -> bool:
    """Tell texts from images; a network over both is one over images."""
    from .transformers._folders import find_folder, is_vision

    weights = parameters.get("weights")
    revision = weights if weights not in {None, "default"} else None
    return not is_vision(find_folder(model, revision, what="network"))


def find_image(model: Any, **parameters: Any) -> Backbone:
    """Find the network that reads images, or any module that the user brings.

    Parameters
    ----------
    model : str, nn.Module, callable or ModuleHandle
    **parameters
        ``weights``, ``image_size``, ``resize``; for a module ``preprocessing`` or ``shape``.
    """
    from .own._program import ProgramBackbone, is_program

    need_torchvision()
    if is_program(model):
        return ProgramBackbone(model, **parameters)
    if not isinstance(model, str):
        from .own._module import ModuleBackbone

        return ModuleBackbone(model, **parameters)
    prefix, slash, name = model.partition("/")
    source = find_source(prefix) if slash else None
    if source is not None and prefix != "torchvision":
        return source.find(name, **parameters)
    if _is_of_transformers(model):
        from .transformers import _vision

        return _vision.backbone(model, **parameters)
    from . import torchvision

    name = name if source is not None else model
    if name in torchvision.names():
        return torchvision.backbone(name, **parameters)
    near = torchvision.suggest(name)
    if source is None and _is_of_timm(name):
        near = [f"timm/{name}", *near]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(
        f"Unknown image network model={model!r}.{hint} list_backbones() lists all known networks."
    )


def _is_of_timm(name: str) -> bool:
    """Tell a name that timm gives a network, with or without the tag of its weights."""
    timm = find_source("timm")
    try:
        known = set(timm.names()) if timm is not None else set()
    except ImportError:  # an extra
        return False
    return bool(known & {name, name.partition(".")[0]})


def find_text(model: str, **parameters: Any) -> Backbone:
    """Find the text encoder that ``model`` names, without loading it.

    Parameters
    ----------
    model : str
        Name on the hub, or a local folder.
    **parameters
        ``weights``, ``max_length``, ``truncation``, ``stride``, ``prompt``.
    """
    from .transformers._text_towers import backbone

    return backbone(model, **parameters)
