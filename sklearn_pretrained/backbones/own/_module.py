"""A network of the user's own → a backbone over images or numeric rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._backbone import Backbone
from .._weights import LocalFile
from ..identity import Identity, Watch, identity
from ._network import Given, Made


class ModuleHandle:
    """A network that estimators share instead of copying it.

    scikit-learn deep-copies the values of a parameter grid, but not a handle.

    Parameters
    ----------
    module : nn.Module
        The network. Estimators use a frozen copy, so you can continue to train it.

    Examples
    --------
    >>> import torch
    >>> from sklearn.base import clone
    >>> from sklearn_pretrained import ModuleHandle
    >>> handle = ModuleHandle(torch.nn.Linear(3, 2))
    >>> clone(handle, safe=False) is handle
    True
    """

    __module__ = "sklearn_pretrained"  # files name the package alone

    def __init__(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"ModuleHandle takes an nn.Module, got {type(module).__name__}.")
        self.module = module

    def __sklearn_clone__(self) -> ModuleHandle:
        return self

    def __repr__(self) -> str:
        return f"ModuleHandle({type(self.module).__name__})"


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
    code_facts = ("preprocessing", "code", "packages")

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
                "weights=None (random weights) applies to networks given by name only. A network "
                "of your own comes with its weights, or weights is the path of a state dict."
            )
        self.preprocessing = preprocessing
        self._watch = None if preprocessing is None else Watch(preprocessing)
        self._handle = model if isinstance(model, ModuleHandle) else None
        if isinstance(model, ModuleHandle | nn.Module):
            module = model.module if isinstance(model, ModuleHandle) else model
            if weights != "default":
                raise ValueError(
                    "weights applies only if model is a function that returns the network. A "
                    "network that is passed directly has its own weights."
                )
            self.source: Given | Made = Given(module)
            self.name = f"module/{type(module).__name__}"
        elif callable(model):
            name = getattr(model, "__qualname__", type(model).__qualname__)
            self.name = f"module/{name}"
            self._given = weights
            self.source = Made(model, None if weights == "default" else _file(weights))
        else:
            raise TypeError(
                "model must be the name of a network, an nn.Module, a ModuleHandle, or a function "
                f"that returns an nn.Module, got {type(model).__name__}."
            )
        self.weights = self.source.weights
        self._shape = shape
        if preprocessing is None:
            self.window = self.first_window = self.portion = 1024  # prepared in no time

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        if self._shape is None:
            if self.preprocessing is None:
                raise ValueError(
                    "For images, a network of your own needs preprocessing: a function that turns "
                    "a PIL image into a tensor (C, H, W)."
                )
            self._shape = tuple(self._one(np.full((300, 400, 3), 128, np.uint8)).shape)
        return self._shape

    def is_still(self, weights: str) -> bool:
        """Tell whether what was passed is as it was, and so is its preprocessing."""
        source, handle = self.source, self._handle
        if not self._is_prepared_as_then():
            return False
        if isinstance(source, Given):
            return (handle is None or handle.module is source.module) and source.is_still(weights)
        is_same_file = source.file is None or source.file == _file(self._given)
        return is_same_file and source.is_still() and self.weights.digest() == weights

    def _is_prepared_as_then(self) -> bool:
        return self._watch is None or self._watch.is_still(self.preprocessing)

    def look_again(self) -> None:
        """Look at the whole network, whatever is remembered of it."""
        self.source.look_again()

    @property
    def architecture(self) -> str:
        """What the network is, apart from its weights, with the input's shape."""
        return f"{self.name}@{self.shape}:{self.source.identity.key}"

    @property
    def shareable(self) -> bool:
        """Whether another object, here or elsewhere, could be known to be the same."""
        known = (self.source.identity, self._preparing)
        return not any(one is not None and one.own for one in known)

    @functools.cached_property
    def _preparing(self) -> Identity | None:
        if self.preprocessing is None:
            return None
        return identity(self.preprocessing, watch=self._watch)

    def recipe(self) -> dict[str, Any]:
        """Return name, shape, preprocessing, and what the network is apart from its weights."""
        network = self.source.identity
        facts = self._sample_facts()
        facts["packages"] = {**network.packages, **facts["packages"]}
        return {"network": self.name, "code": network.key, **facts}

    def _sample_facts(self) -> dict[str, Any]:
        how = self._preparing
        return {
            "shape": list(self.shape),
            "preprocessing": "rows" if how is None else how.key,
            "packages": {} if how is None else dict(how.packages),
        }

    def skeleton(self, *, grown: bool) -> nn.Module:  # noqa: ARG002
        """Copy the network to the meta device."""
        return self.source.skeleton()

    def rehearse(self, network: nn.Module, batch: int, *, grown: bool) -> Any:
        """Run a skeleton over samples that hold nothing."""
        shape = self.shape
        if grown:
            if len(shape) < 2:  # noqa: PLR2004
                raise ValueError("a vector has no positions that could grow")
            shape = (shape[0], *(2 * size for size in shape[1:]))
        return network(torch.empty(batch, *shape, dtype=torch.float32, device="meta"))

    def build(self) -> nn.Module:
        """Copy the network, or make it and fill it with its weights."""
        return self.source.build()

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
                f"preprocessing returned tensors of shapes {sorted(shapes)}, but {self.shape} at "
                "fit. It must resize or crop every image to one size."
            )
        return torch.stack(list(samples)).to(device=device, dtype=dtype)

    def call(self, network: nn.Module, batch: Tensor) -> Any:
        """Run the network."""
        return network(batch)


def _file(weights: Any) -> LocalFile:
    return LocalFile(Path(weights).expanduser().absolute())


__all__ = ["ModuleBackbone", "ModuleHandle"]
