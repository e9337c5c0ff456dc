"""A network and a script → the network with chosen runs of its submodules replaced or read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ..backbones import hooks_for_all
from ..exceptions import LayerError
from ..process import ForkLock
from ..taps import first_tensor
from ._forms import Form, Size, rebuilt, with_first
from ._runs import Key

RUN = object()
"""In the place of a form: the submodule does what it is made for."""


@dataclass
class Act:
    """What becomes of one run of a submodule.

    Parameters
    ----------
    stub : object
        What it gives instead of running, as forms; `RUN` where it does run.
    stands_for : Key or None
        The run, as it is counted in the whole network.
    is_given, gives : bool
        Whether the activation takes the place of its first input, or of its result.
    reads : list of (int, str)
        Which of the forward's outputs it holds, on its side "input" or "output".
    """

    stub: Any = RUN
    stands_for: Key | None = None
    is_given: bool = False
    gives: bool = False
    reads: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Scene:
    """One forward: what it is over, and what it found.

    Parameters
    ----------
    size : Size
        Of the batch.
    activation : Tensor or None
        What the layer gave that the forward goes on from.
    reduce : callable
        Takes the number of an output and its activation; gives what is kept.
    outputs : int
        How many are to be found; then the forward ends.
    poisoned : collection of Key or None
        Stubs that give NaN; None stands for all.
    cheap : bool
        Whether stubs give one number, seen everywhere.
    found, counts
        The outputs so far, and how often each submodule has run.
    """

    size: Size
    activation: Tensor | None
    reduce: Callable[[int, Tensor], Any]
    outputs: int
    poisoned: Collection[Key] | None = ()
    cheap: bool = True
    found: dict[int, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class _EnoughError(Exception):
    """All outputs are found."""


class Script:
    """Acts for some runs of a network's submodules; what is not named runs as ever.

    Parameters
    ----------
    network : nn.Module
        Nobody else may run it.
    acts : dict of Key to Act
        Runs are counted without those that are a part of a stub.
    """

    def __init__(self, network: nn.Module, acts: Mapping[Key, Act]) -> None:
        self._network, self._acts = network, acts
        self._lock = ForkLock()
        self._scene: Scene | None = None
        self._played = {name: network.get_submodule(name) for name, _ in acts}
        self._own = {n: vars(m)["forward"] for n, m in self._played.items() if "forward" in vars(m)}
        self.put()

    @property
    def names(self) -> Collection[str]:
        """Names of the submodules that act."""
        return self._played.keys()

    def put(self) -> None:
        """Let the submodules act."""
        for name, module in self._played.items():
            module.forward = self._player(name, module.forward)

    def remove(self) -> None:
        """Give the submodules their own forwards back."""
        for name, module in self._played.items():
            vars(module).pop("forward", None)
            if name in self._own:
                module.forward = self._own[name]

    def play(self, call: Callable[[nn.Module], Any], scene: Scene) -> list[Any]:
        """Run ``call(network)`` until all outputs are found."""
        check_no_hooks()
        with self._lock():
            self._scene = scene
            try:
                call(self._network)
            except _EnoughError:
                pass
            finally:
                self._scene = None
        return [scene.found[i] for i in range(scene.outputs)]

    def _player(self, name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def play(*args: Any, **kwargs: Any) -> Any:
            scene = self._scene
            assert scene is not None
            scene.counts[name] = number = scene.counts.get(name, 0) + 1
            act = self._acts.get((name, number))
            if act is None:
                return forward(*args, **kwargs)
            if act.is_given:
                args, kwargs = _given(args, kwargs, scene.activation)
            self._read(scene, act, "input", args or kwargs)
            is_run = act.stub is RUN
            result = forward(*args, **kwargs) if is_run else self._stub(scene, act)
            if act.gives:
                assert scene.activation is not None
                result = with_first(result, scene.activation)
            self._read(scene, act, "output", result)
            return result

        return play

    @staticmethod
    def _stub(scene: Scene, act: Act) -> Any:
        assert scene.activation is not None
        device = scene.activation.device
        is_poisoned = scene.poisoned is None or act.stands_for in scene.poisoned
        value = float("nan") if is_poisoned else 0.0

        def fill(form: Form) -> Tensor:
            return form.filled(scene.size, value, device, cheap=scene.cheap)

        return rebuilt(act.stub, fill, Form)

    @staticmethod
    def _read(scene: Scene, act: Act, side: str, value: Any) -> None:
        for i, read in act.reads:
            if read != side:
                continue
            tensor = first_tensor(value)
            if tensor is None:
                raise TypeError("a layer does not return a tensor")
            scene.found[i] = scene.reduce(i, tensor)
            if len(scene.found) == scene.outputs:
                raise _EnoughError


def check_no_hooks() -> None:
    """Refuse hooks on all modules, which are called behind a forward: behind what it reads."""
    if hooks_for_all():
        raise LayerError(
            "hooks were put on every module of the process, by "
            "torch.nn.modules.module.register_module_forward_hook or its like, and may change "
            "what any layer gives; remove them"
        )


def _given(args: Any, kwargs: Any, activation: Tensor | None) -> tuple[Any, Any]:
    assert activation is not None
    if first_tensor(args) is not None:
        return with_first(args, activation), kwargs
    return args, with_first(dict(kwargs), activation)
