"""A network of the user's own → a backbone over images or numeric rows."""

from __future__ import annotations

import copy
import hashlib
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._backbone import Backbone
from .._skeleton import random_network
from .._weights import LocalFile, digest_of, fill, read
from ._identity import identity


class ModuleHandle:
    """A network that estimators share instead of copying it.

    scikit-learn deep-copies what stands in a parameter grid; a handle stays one object.

    Parameters
    ----------
    module : nn.Module
        The network. The estimators work on a frozen copy: it stays yours to train.

    Examples
    --------
    >>> import torch
    >>> from sklearn.base import clone
    >>> from sklearn_pretrained import ModuleHandle
    >>> handle = ModuleHandle(torch.nn.Linear(3, 2))
    >>> clone(handle, safe=False) is handle
    True
    """

    def __init__(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"ModuleHandle takes an nn.Module, got {type(module).__name__}.")
        self.module = module

    def __sklearn_clone__(self) -> ModuleHandle:
        return self

    def __repr__(self) -> str:
        return f"ModuleHandle({type(self.module).__name__})"


class _ModuleWeights:
    """Tensors that live in a module, hashed anew whenever they are asked: they may be trained."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def digest(self) -> str:
        return digest_of(self.module)

    def describe(self) -> str:
        return f"the tensors of the {type(self.module).__name__} that was passed"


class _FactoryWeights:
    """Tensors that a factory makes, from the seed that every process uses."""

    def __init__(self, factory: Callable[[], nn.Module]) -> None:
        self.factory = factory

    def digest(self) -> str:
        return _remember(self.factory, "digest", lambda: digest_of(random_network(self.factory)))

    def describe(self) -> str:
        return f"what {_name(self.factory)}() makes"


_facts: weakref.WeakKeyDictionary[Any, dict[str, str]] = weakref.WeakKeyDictionary()


def _remember(factory: Any, what: str, find: Callable[[], str]) -> str:
    """Find a fact about what a function makes; once for each function where that is possible."""
    try:
        facts = _facts.setdefault(factory, {})
    except TypeError:  # some callables have no weak references
        return find()
    if what not in facts:
        facts[what] = find()
    return facts[what]


def _name(thing: Any) -> str:
    return getattr(thing, "__qualname__", type(thing).__qualname__)


class ModuleBackbone(Backbone):
    """A network of the user's own.

    Parameters
    ----------
    model : nn.Module, ModuleHandle or callable
        The network, or a function without arguments that makes it.
    weights : str, Path or "default", default="default"
        With a function: the path of the state dict. "default" takes what the function makes.
    preprocessing : callable, optional
        PIL image → tensor (C, H, W). Without it the network reads numeric rows.
    shape : tuple of int, optional
        Of one numeric row.
    """

    grows_by_rebuilding = False
    code_facts = ("preprocessing", "factory")

    def __init__(
        self,
        model: Any,
        *,
        weights: Any = "default",
        preprocessing: Callable[[Any], Tensor] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        if weights is None:
            raise ValueError(
                "weights=None asks for random weights, which goes with the name of a network; a "
                "network of your own comes with its weights, or takes the path of a state dict."
            )
        self.preprocessing = preprocessing
        self._module: nn.Module | None = None
        if isinstance(model, ModuleHandle | nn.Module):
            self._module = model.module if isinstance(model, ModuleHandle) else model
            if weights != "default":
                raise ValueError(
                    "weights= goes with a function that makes the network; the tensors of a "
                    "network that was passed are its weights."
                )
            self.weights = _ModuleWeights(self._module)
            self.name = f"module/{type(self._module).__name__}"
        elif callable(model):
            self.name = f"module/{_name(model)}"
            self._factory = model
            if weights == "default":
                self.weights = _FactoryWeights(model)
            else:
                self.weights = LocalFile(Path(weights).expanduser().absolute())
        else:
            raise TypeError(
                "model must be the name of a network, an nn.Module, a ModuleHandle, or a function "
                f"that makes an nn.Module, got {type(model).__name__}."
            )
        self._shape = shape
        if preprocessing is None:
            self.window = self.first_window = self.portion = 1024  # prepared in no time

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        if self._shape is None:
            if self.preprocessing is None:
                raise ValueError(
                    "A network of your own needs preprocessing=, a function from a PIL image to a "
                    "tensor (C, H, W), to read images."
                )
            self._shape = tuple(self._one(np.full((300, 400, 3), 128, np.uint8)).shape)
        return self._shape

    def _made(self) -> nn.Module:
        """Return the network; where it comes from a function, with random weights."""
        network = self._module if self._module is not None else random_network(self._factory)
        if not isinstance(network, nn.Module):
            raise TypeError(f"{self.name} made a {type(network).__name__}, not an nn.Module.")
        return network

    @property
    def architecture(self) -> str:
        """Print of the module: what decides its layers, with the input's shape."""

        def find() -> str:
            return hashlib.sha256(repr(self._made()).encode()).hexdigest()

        printed = find() if self._module else _remember(self._factory, "printed", find)
        return f"{self.name}@{self.shape}:{printed}"

    def recipe(self) -> dict[str, Any]:
        """Return name, shape and preprocessing."""
        facts = {"network": self.name, **self._sample_facts()}
        if self._module is None:
            facts["factory"] = identity(self._factory)
        return facts

    def _sample_facts(self) -> dict[str, Any]:
        how = identity(self.preprocessing) if self.preprocessing is not None else "rows"
        return {"shape": list(self.shape), "preprocessing": how}

    def skeleton(self, *, grown: bool) -> nn.Module:  # noqa: ARG002
        """Copy the network to the meta device."""
        return copy.deepcopy(self._made()).eval().requires_grad_(False).to("meta")

    def rehearse(self, network: nn.Module, batch: int, *, grown: bool) -> Any:
        """Run a skeleton over samples that hold nothing."""
        shape = self.shape
        if grown:
            if len(shape) < 2:  # noqa: PLR2004
                raise ValueError("a vector has no positions that could grow")
            shape = (shape[0], *(2 * size for size in shape[1:]))
        return network(torch.empty(batch, *shape, device="meta"))

    def build(self) -> nn.Module:
        """Copy the network, or make it and fill it with its weights."""
        if self._module is not None:
            return copy.deepcopy(self._module)
        network = random_network(self._factory)
        if isinstance(self.weights, LocalFile):
            path = self.weights.find()
            fill(network, read(path), str(path))
        return network

    def example(self) -> list[Tensor]:
        """Return two samples of noise."""
        seeded = torch.Generator().manual_seed(0)
        return list(torch.randn((2, *self.shape), generator=seeded))

    def _one(self, image: Any) -> Tensor:
        from PIL import Image

        assert self.preprocessing is not None
        sample = self.preprocessing(Image.fromarray(image))
        if not isinstance(sample, Tensor):
            raise TypeError(
                f"preprocessing must return a tensor (C, H, W), got {type(sample).__name__}."
            )
        return sample

    def prepare(self, contents: Sequence[Any]) -> list[Tensor]:
        """Apply the preprocessing, or turn rows into tensors."""
        if self.preprocessing is None:
            return [torch.from_numpy(np.ascontiguousarray(row)) for row in contents]
        return [self._one(image) for image in contents]

    def collate(self, samples: Sequence[Tensor], device: Any, dtype: torch.dtype) -> Tensor:
        """Stack samples."""
        shapes = {tuple(sample.shape) for sample in samples}
        if shapes != {self.shape}:
            raise ValueError(
                f"preprocessing gave tensors of shapes {sorted(shapes)}, and {self.shape} at fit; "
                "make it resize or crop every image to one size."
            )
        return torch.stack(list(samples)).to(device=device, dtype=dtype)

    def call(self, network: nn.Module, batch: Tensor) -> Any:
        """Run the network."""
        return network(batch)


__all__ = ["ModuleBackbone", "ModuleHandle"]
