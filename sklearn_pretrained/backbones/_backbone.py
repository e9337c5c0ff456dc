"""What every source of networks gives: a description that costs nothing, and the way to load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from ._hooks_for_all import facts_of_hooks, told_hooks


class Weights(Protocol):
    """Where a network's numbers come from."""

    def digest(self) -> str:
        """Return the SHA-256 of the weights; finds them, and checks what can be checked."""

    def describe(self) -> str:
        """Say in a few words which weights these are and where they lie."""


@dataclass(frozen=True)
class Sequences:
    """What whoever runs a network over sequences of tokens must know of it.

    Parameters
    ----------
    vocabulary : int
        How many tokens there are.
    padding : int
        The token that fills up.
    config : object or None
        The configuration of an encoder whose attention might go text by text; None where a text's
        tokens are found by their place in a padded row.
    """

    vocabulary: int
    padding: int
    config: Any = None


class Backbone(ABC):
    """A frozen network with its own preprocessing, described and not yet loaded.

    Attributes
    ----------
    name : str
        Source and name, such as ``"torchvision/resnet50"``.
    revision : str or None
        Which of the source's weights: its name for them, or the commit.
    libraries : tuple of str
        Packages besides torch, NumPy and Pillow that make the rows.
    code_facts : tuple of str
        What in `recipe` is a print of the user's code, which another Python writes otherwise.
    code : str
        What the backbone itself is, where its class does not come with this package.
    shareable : bool
        Whether another object, in this process or another, could be known to be the same network
        with the same preprocessing. If not, its rows are kept in no file.
    weights : Weights
        The numbers.
    growth : int
        Factor by which positions grow from `rehearse(grown=False)` to `rehearse(grown=True)`.
    grows_by_rebuilding : bool
        Whether another input size needs another skeleton.
    first_token_is_class : bool
        Whether the first token stands for the whole item although no prefix tells (texts).
    has_head : bool
        Whether the network ends in a classifier, which "penultimate" leaves out.
    window, first_window : int
        Items that are prepared together; the first ones are fewer, so that the network, which
        works while the next ones are being prepared, need not wait for long.
    patience : int
        Items in a process from which on it pays to rearrange the network, so that it is faster.
    portion : int
        Items that are loaded and turned into samples at once.
    prepares_concurrently : bool
        Whether several threads may prepare items at once.
    is_tame : bool
        Whether all that the network may read is finite and about as large as `example`.
    names_hidden_states : bool
        Whether a network says itself which of its tensors are its hidden states.
    is_found_anew : bool
        Whether whoever found it may find another one the next time, as a user's function may.
    stays_apart : str
        Why its weights cannot be embedded in a file, and what to do; "" where they can.
    poolings : tuple of str
        Those that cost little, so that a forward may keep them all for a later search.
    also_kept : tuple of str
        Layers worth keeping besides the main ones.
    """

    name: str
    weights: Weights
    revision: str | None = None
    libraries: tuple[str, ...] = ("torchvision",)
    code_facts: tuple[str, ...] = ()
    code: str = ""
    growth: int = 4
    grows_by_rebuilding: bool = False
    first_token_is_class: bool = False
    has_head: bool = True
    window: int = 64
    first_window: int = 8
    patience: int = 16
    portion: int = 1
    prepares_concurrently: bool = False
    is_tame: bool = False
    names_hidden_states: bool = False
    is_found_anew: bool = False
    stays_apart: str = ""
    poolings: tuple[str, ...] = ("cls", "avg", "max")
    also_kept: tuple[str, ...] = ()

    @property
    def shareable(self) -> bool:
        """Whether another object could be known to be the same."""
        return True

    def look_again(self) -> None:  # noqa: B027  most remember nothing that changes
        """Forget what is remembered of a network that may have changed; `fit` asks for it."""

    def is_still(self, weights: str) -> bool:  # noqa: ARG002
        """Tell soon whether all that decides its rows is as it was, with weights of this digest.

        False as well where that would take as long as to look for the network anew.
        """
        return False

    @property
    @abstractmethod
    def architecture(self) -> str:
        """Name all that decides layers and shapes, but no weights: the key of the plan."""

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Return all that decides a row besides weights, layers, pooling and precision."""

    def facts(self) -> dict[str, Any]:
        """Return `recipe`, and the hooks that the caller put on every module of the process."""
        return {**self.recipe(), **facts_of_hooks()}

    @property
    def lasting(self) -> bool:
        """Whether its rows could be recognised in another process, so that files may hold them."""
        hooks = told_hooks()
        return self.shareable and not (hooks and hooks.own)

    @abstractmethod
    def skeleton(self, *, grown: bool) -> nn.Module:
        """Build the network on the meta device, in eval mode, for inputs of one of two sizes."""

    @abstractmethod
    def rehearse(self, network: nn.Module, batch: int, *, grown: bool) -> Any:
        """Run a skeleton over meta inputs."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the network with its verified weights, on the CPU."""

    def build_trained(self) -> Sequence[nn.Module]:
        """Return the modules that rows go through behind the pooling; usually there are none."""
        return ()

    @abstractmethod
    def prepare(self, contents: Sequence[Any]) -> list[Any]:
        """Turn contents of items into samples that `collate` can join."""

    @abstractmethod
    def collate(self, samples: Sequence[Any], device: Any, dtype: Any) -> Any:
        """Join samples into one batch of inputs on a device."""

    def raw(self, samples: Sequence[Any]) -> Tensor | None:  # noqa: ARG002
        """Join samples into bytes (N, C, H, W), with the channels last in memory.

        `scaled` makes of them, or of their `views`, what `collate` gives. None where that takes
        more than arithmetic.
        """
        return None

    def scaled(self, raw: Tensor) -> Tensor:
        """Make a batch of what `raw` gave, in operations that can be traced."""
        return raw

    @property
    def scaling(self) -> Hashable:
        """What decides `scaled` besides the network: two backbones may share one network."""
        return None

    @abstractmethod
    def call(self, network: nn.Module, batch: Any) -> Any:
        """Run the network over a batch."""

    def views(self, batch: Any) -> Sequence[Any]:
        """Return the batches whose rows are averaged; usually it is the only one."""
        return [batch]

    def example(self) -> Sequence[Any] | None:
        """Return two samples that take the way of all others; None where there are no such."""
        return None

    def sequences(self) -> Sequences | None:
        """Describe the sequences that the network reads; None where padding never shows."""
        return None

    def lengths(self, samples: Sequence[Any]) -> list[int] | None:  # noqa: ARG002
        """Return each sample's length, where samples of different lengths share a batch."""
        return None

    def classifier(self, network: nn.Module) -> str | None:  # noqa: ARG002
        """Name the submodule that classifies; None for the last one that multiplies by weights."""
        return None

    def has_class_token(self, network: nn.Module) -> bool:  # noqa: ARG002
        """Tell whether tokens that stand before the positions begin with a class token."""
        return True

    def hidden_states(self, output: Any) -> Sequence[Tensor]:  # noqa: ARG002
        """Take the hidden states, which are the main stages, out of what `rehearse` returned."""
        return ()

    def places(self, network: nn.Module) -> dict[str, tuple[str, str]]:  # noqa: ARG002
        """Name further layers: (submodule, its "output" or "input", at its last run).

        Those called ``hidden_0``, ``hidden_1``, … are the main stages.
        """
        return {}

    def mask(self, batch: Any) -> Tensor | None:  # noqa: ARG002
        """Return which tokens of a batch are real, where a network reads sequences."""
        return None
