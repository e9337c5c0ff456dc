"""The trained steps behind a folder's pooling → their files, and modules with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from ...exceptions import WeightsError
from .._skeleton import random_network
from .._weights import fill, read
from ._sentence_steps import Step

_FILES = ("model.safetensors", "pytorch_model.bin")


class Dense(nn.Module):
    """A linear layer with its activation and, perhaps, what it was given added to it.

    Parameters
    ----------
    step : Step
    """

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.linear = nn.Linear(step.inputs, step.size, bias=step.bias)
        self.activation: nn.Module = getattr(nn, step.activation)()
        self.is_added = step.residual
        if step.residual and step.inputs != step.size:
            self.residual = nn.Linear(step.inputs, step.size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Take rows to rows."""
        made = self.activation(self.linear(x))
        if not self.is_added:
            return made
        return made + (self.residual(x) if hasattr(self, "residual") else x)


class LayerNorm(nn.Module):
    """A layer norm under the name that sentence-transformers gives its weights.

    Parameters
    ----------
    step : Step
    """

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(step.size)

    def forward(self, x: Tensor) -> Tensor:
        """Take rows to rows."""
        return self.norm(x)


_KINDS: dict[str, type[Dense | LayerNorm]] = {"dense": Dense, "layernorm": LayerNorm}


def trained(steps: Sequence[Step]) -> list[Step]:
    """Choose the steps that have weights."""
    return [step for step in steps if step.kind in _KINDS]


def weights_file(folder: Path, step: Step) -> Path:
    """Find the weights of a step as sentence-transformers does: safetensors first."""
    paths = [folder / step.path / name for name in _FILES]
    for path in paths:
        if path.is_file():
            return path
    raise WeightsError(f"There are no weights of the {step.kind} step at {paths[0]} or {paths[1]}.")


def load(folder: Path, steps: Sequence[Step]) -> list[nn.Module]:
    """Build the steps that have weights, and fill them."""
    made: list[nn.Module] = []
    for step in trained(steps):
        path = weights_file(folder, step)
        module = _KINDS[step.kind](step)
        fill(module, read(path), str(path))
        made.append(module)
    return made


def random(steps: Sequence[Step]) -> list[nn.Module]:
    """Build the steps that have weights with random ones, the same in every process."""

    def build() -> nn.Module:
        return nn.ModuleList([_KINDS[step.kind](step) for step in trained(steps)])

    return list(random_network(build).children())
