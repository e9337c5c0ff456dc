"""A module, or a function that makes one → its weights, what else it is, and a copy to run.

A row is computed by a copy, and a copy is looked at as a whole when it is made: its weights and all
else must be what was asked for. So rows are those of the network that `fit` pinned, whatever became
of the original, and in between a glance at the original is enough to notice that it was trained.
"""

from __future__ import annotations

import copy
import functools
import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...process import keep
from .._backbone import Weights
from .._glanced import Glanced
from .._skeleton import random_network
from .._weights import LocalFile, digest_of, fill, read
from ..identity import Identity, Watch, identity, owned
from ._unmoved import apart_from_weights, forget, look, unmoved

_seen: weakref.WeakKeyDictionary[nn.Module, tuple[Glanced | None, str]]
_seen = weakref.WeakKeyDictionary()
_made: OrderedDict[tuple[str, bool], tuple[Identity, str]] = OrderedDict()
_MOST_MADE = 64
keep(f"{__name__}._seen", "digests of your own networks", clear=_seen.clear, size=_seen.__len__)
keep(f"{__name__}._made", "digests of what factories make", clear=_made.clear, size=_made.__len__)


class Given:
    """A module of the user's, which stays as it is.

    Parameters
    ----------
    module : nn.Module
    """

    def __init__(self, module: nn.Module) -> None:
        self._found = unmoved(module)
        self.module = module if self._found is not None else _usable(module)

    @property
    def weights(self) -> Weights:
        """The module's own; a reference to itself would hold the module until Python looks."""
        return self

    def look_again(self) -> None:
        """Forget what is remembered of the module."""
        _seen.pop(self.module, None)
        forget(self.module)
        self._found = None

    @property
    def identity(self) -> Identity:
        """What the module is, apart from its weights."""
        if self._found is None:
            self._found = look(self.module)
        return self._found.identity

    def is_still(self, digest: str) -> bool:
        """Tell whether the module is as it was when it was found, with weights of this digest."""
        found, (glanced, known) = self._found, _seen.get(self.module, (None, ""))
        return (
            found is not None
            and glanced is not None
            and known == digest
            and found.watch.is_still(self.module)
            and glanced.is_still(found.state)
        )

    def _state(self) -> Mapping[str, Any]:
        found = unmoved(self.module)
        return self.module.state_dict(keep_vars=True) if found is None else found.state

    def digest(self) -> str:
        """Hash the weights; a module in which nothing seems to have changed is not hashed again."""
        state = self._state()
        glanced, digest = _seen.get(self.module, (None, ""))
        if glanced is None or not glanced.is_still(state):
            glanced, digest = Glanced.of(state), digest_of(self.module)
            _seen[self.module] = glanced, digest
        return digest

    def describe(self) -> str:
        """Say whose weights they are."""
        return f"the tensors of the {type(self.module).__name__} that was passed"

    def skeleton(self) -> nn.Module:
        """Copy the module to the meta device."""
        return _skeleton(self.module)

    def build(self) -> nn.Module:
        """Copy the module, and look at all of it."""
        self.look_again()
        glanced = Glanced.of(self._state())
        copied = copy.deepcopy(self.module)
        _seen[self.module] = glanced, digest_of(copied)
        return copied


class Made:
    """A function that makes a module; what it reads may change, so what it made is looked at.

    Parameters
    ----------
    factory : callable
    file : LocalFile or None
        Where the weights lie, if they are not what the function makes.
    """

    def __init__(self, factory: Callable[[], Any], file: LocalFile | None) -> None:
        self.factory, self.file = factory, file
        self._network: nn.Module | None = None
        self._watch = Watch(factory)
        self._stated: tuple[Identity, str] | None = None

    @property
    def weights(self) -> Weights:
        """Those of the file, or those that the function makes."""
        return self.file or self

    @functools.cached_property
    def _key(self) -> tuple[str, bool]:
        self._watch = Watch(self.factory)
        return identity(self.factory, watch=self._watch).key, self.file is None

    def is_still(self) -> bool:
        """Tell whether the function is as it was, and so is what is remembered of it.

        Not as long as this holds what the function made, which nobody may ever need.
        """
        return (
            self._stated is not None
            and self._network is None
            and self._watch.is_still(self.factory)
            and _made.get(self._key) == self._stated
        )

    def _call(self) -> nn.Module:
        network = random_network(self.factory)
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"{_name(self.factory)} returned a {type(network).__name__}, not an nn.Module."
            )
        return _usable(network)

    def look_again(self) -> None:
        """Call the function, and remember what it made."""
        # The function may return a network that somebody else holds.
        self._network = copy.deepcopy(self._call())
        state = self._network.state_dict(keep_vars=True)
        found = owned(apart_from_weights(self._network, state), self.factory)
        self.__dict__.pop("_key", None)
        _made[self._key] = found, "" if self.file else digest_of(self._network)
        if len(_made) > _MOST_MADE:
            _made.popitem(last=False)

    def _facts(self) -> tuple[Identity, str]:
        if self._key not in _made:
            self.look_again()
        found = _made[self._key]
        self._stated = self._stated or found
        return found

    @property
    def identity(self) -> Identity:
        """What the function makes, apart from the weights."""
        return self._facts()[0]

    def digest(self) -> str:
        """Hash the weights that the function makes."""
        return self._facts()[1]

    def describe(self) -> str:
        """Say what makes them."""
        return f"what {_name(self.factory)}() makes"

    def skeleton(self) -> nn.Module:
        """Make the module, on the meta device."""
        return _skeleton(self._network if self._network is not None else self._call())

    def build(self) -> nn.Module:
        """Make the module, look at it, and fill it with its weights."""
        if self._network is None:
            self.look_again()
        network, self._network = self._network, None
        assert network is not None
        if self.file is not None:
            path = self.file.find()
            fill(network, read(path), str(path))
        return network


def _name(factory: Any) -> str:
    return getattr(factory, "__qualname__", type(factory).__qualname__)


def _skeleton(module: nn.Module) -> nn.Module:
    """Copy a module to the meta device, in the precision that it will have."""

    def shape_of(tensor: Tensor) -> Tensor:
        return tensor.to("meta", torch.float32 if tensor.is_floating_point() else tensor.dtype)

    return copy.deepcopy(module).eval().requires_grad_(requires_grad=False)._apply(shape_of)  # noqa: SLF001


def _usable(module: nn.Module) -> nn.Module:
    """Refuse a module of which no frozen copy can be made that has layers."""
    if isinstance(module, torch.jit.ScriptModule):
        raise TypeError(
            f"A {type(module).__name__} was compiled by torch.jit, and its layers cannot be read. "
            "Pass the nn.Module that it was made from, or export that one with torch.export."
        )
    tensors = itertools.chain(module.named_parameters(), module.named_buffers())
    lazy = [name for name, tensor in tensors if is_lazy(tensor)]
    if lazy:
        raise ValueError(
            f"{type(module).__name__} is lazy: {lazy[0]!r} has no shape yet. Run the network once "
            "on a batch of the data to initialise it before passing it."
        )
    return module
