"""What a user writes as ``model`` → a backbone; a source is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._backbone import Backbone


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
    return "/" in model.removeprefix("torchvision/") or _is_folder(model)


def _reads_texts(model: str, parameters: dict[str, Any]) -> bool:
    """Tell texts from images; a network over both is one over images."""
    from ._text_folders import find_folder, is_vision

    weights = parameters.get("weights")
    revision = weights if weights not in {None, "default"} else None
    return not is_vision(find_folder(model, revision, what="network"))


def _is_folder(model: str) -> bool:
    return Path(model).expanduser().is_dir()


def find_image(model: Any, **parameters: Any) -> Backbone:
    """Find the network that reads images, or any module that the user brings.

    Parameters
    ----------
    model : str, nn.Module, callable or ModuleHandle
    **parameters
        ``weights``, ``image_size``, ``resize``; for a module ``preprocessing`` or ``shape``.
    """
    if not isinstance(model, str):
        from ._custom import ModuleBackbone

        return ModuleBackbone(model, **parameters)
    from . import _torchvision

    if _is_of_transformers(model):
        from . import _vision

        return _vision.backbone(model, **parameters)
    name = model.removeprefix("torchvision/")
    if name in _torchvision.names():
        return _torchvision.backbone(name, **parameters)
    near = _torchvision.suggest(name)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(
        f"model={model!r} is no known network over images.{hint} list_backbones() names them all."
    )


def find_text(model: str, **parameters: Any) -> Backbone:
    """Find the text encoder that ``model`` names, without loading it.

    Parameters
    ----------
    model : str
        Name on the hub, or a local folder.
    **parameters
        ``weights``, ``max_length``, ``truncation``, ``prompt``.
    """
    from ._text_towers import backbone

    return backbone(model, **parameters)


def list_backbones() -> list[str]:
    """List the names that ``model`` may have.

    Returns
    -------
    list of str
        The networks of every installed source. Any other can be passed as a module.

    Examples
    --------
    >>> from sklearn_pretrained import list_backbones
    >>> [name for name in list_backbones() if name.startswith("vit")]
    ['vit_b_16', 'vit_b_32', 'vit_h_14', 'vit_l_16', 'vit_l_32']
    """
    from . import _torchvision

    return list(_torchvision.names())
