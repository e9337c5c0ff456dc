"""The prefix of a network's name → the source that knows it: built in, registered, or installed."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ..process import remembered
from ._backbone import Backbone
from ._entry import Entry
from .identity import identity, owned

ENTRY_POINTS = "sklearn_pretrained.backbones"
_BUILT_IN = ("torchvision", "timm")
_USUAL = {"weights": "default", "image_size": None, "resize": "fast", "preprocessing": None}


@dataclass(frozen=True, eq=False)
class Source:
    """Networks that share a prefix.

    Parameters
    ----------
    name : str
        The prefix.
    find : callable
        Name behind the prefix, and parameters → backbone.
    names : callable
        Lists the names, as far as they are known.
    entries : callable
        Lists what is known of each before it is built.
    """

    name: str
    find: Callable[..., Backbone]
    names: Callable[[], Iterable[str]]
    entries: Callable[[], Iterable[Entry]]


_registered: dict[str, Source] = {}


def register_backbone(
    source: str, factory: Callable[..., Any], *, names: Iterable[str] = ()
) -> None:
    """Register networks of your own under names: ``model="source/name"``.

    Parameters
    ----------
    source : str
        The part of the name before the slash. An existing source of that name is replaced.
    factory : callable
        Called with the part of the name after the slash, and with those of ``weights``,
        ``image_size`` and ``resize`` that the user set. It returns a pair: a function without
        arguments that returns the network with its weights, and the preprocessing, a function
        from a PIL image to a tensor (C, H, W). It can also return a
        `sklearn_pretrained.backbones.Backbone`.
    names : iterable of str, default=()
        The names to show in `list_backbones`.

    See Also
    --------
    list_backbones : List the networks that are available.

    Notes
    -----
    A package can register its source in every process, including joblib's workers, with an entry
    point in the group ``sklearn_pretrained.backbones``. The name of the entry point is the source
    and its value is the factory, which can list its names in an attribute ``names``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_pretrained import PretrainedImageFeaturizer, register_backbone
    >>> from torchvision.transforms import Compose, Resize, ToTensor
    >>> def small(name):
    ...     width = int(name.removeprefix("width"))
    ...     def make():
    ...         return torch.nn.Sequential(torch.nn.Conv2d(3, width, 8, 8), torch.nn.ReLU())
    ...     return make, Compose([Resize((32, 32)), ToTensor()])
    >>> register_backbone("small", small, names=["width8", "width16"])
    >>> PretrainedImageFeaturizer("small/width8", layer="output")
    PretrainedImageFeaturizer(layer='output', model='small/width8')
    """
    if not source or "/" in source or source in _BUILT_IN:
        raise ValueError(
            f"source={source!r} cannot be registered: it must be a word without '/', other than "
            f"{' and '.join(map(repr, _BUILT_IN))}."
        )
    if not callable(factory):
        raise TypeError(f"factory must be callable, got {type(factory).__name__}.")
    listed = tuple(names)
    entries = [Entry(f"{source}/{name}", source) for name in listed]
    _registered[source] = Source(source, _finder(source, factory), lambda: listed, lambda: entries)


def _finder(source: str, factory: Callable[..., Any]) -> Callable[..., Backbone]:
    def find(name: str, **parameters: Any) -> Backbone:
        given = {k: v for k, v in parameters.items() if k not in _USUAL or v != _USUAL[k]}
        try:
            inspect.signature(factory).bind(name, **given)
        except TypeError as error:
            raise ValueError(
                f"model={source + '/' + name!r}: the source {source!r} does not accept "
                f"{', '.join(f'{k}={v!r}' for k, v in given.items()) or 'a name'} ({error})."
            ) from error
        made = factory(name, **given)
        if isinstance(made, Backbone):
            made = copy.copy(made)
            made.is_found_anew = True
            if not type(made).__module__.startswith(__package__):
                made.code = ""  # of an earlier time
                made.code = owned(identity(made), factory).key
            return made
        if not (isinstance(made, tuple) and len(made) == 2 and all(map(callable, made))):  # noqa: PLR2004
            raise TypeError(
                f"The factory of the source {source!r} must return a pair (function that makes "
                f"the network, preprocessing) or a Backbone, got {type(made).__name__}."
            )
        from .own._module import ModuleBackbone

        backbone = ModuleBackbone(made[0], preprocessing=made[1])
        backbone.name, backbone.is_found_anew = f"{source}/{name}", True
        return backbone

    return find


def find_source(source: str) -> Source | None:
    """Return the source of a prefix; None where there is none."""
    if source in _BUILT_IN:
        leaf = import_module(f".{source}", __package__)
        return Source(source, leaf.backbone, leaf.names, leaf.entries)
    if source not in _registered:
        for point in _installed():
            if point.name == source:
                factory = point.load()
                register_backbone(source, factory, names=getattr(factory, "names", ()))
    return _registered.get(source)


def others() -> list[Source]:
    """List the sources that do not come with this package."""
    every = {*_registered, *(point.name for point in _installed())}
    found = [find_source(name) for name in sorted(every - set(_BUILT_IN))]
    return [source for source in found if source is not None]


@remembered("sources that installed packages bring")
def _installed() -> tuple[Any, ...]:
    return tuple(entry_points(group=ENTRY_POINTS))
