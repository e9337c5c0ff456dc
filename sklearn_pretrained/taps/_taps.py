"""A network and its inputs → what the chosen layers give, in one forward that stops early."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from ._listeners import Listener, listening


@dataclass(frozen=True)
class Tap:
    """One place to read.

    Parameters
    ----------
    name : str
        What the result is called.
    module : str
        Dotted name of the submodule; ``""`` is the network itself.
    side : {"output", "input"}
        What it returns, or the first thing it is given.
    calls : int
        Which of the submodule's runs in one forward is read, counted from 1.
    reduce : callable
        Applied at once, before a later in-place operation can overwrite the activation.
    """

    name: str
    module: str
    side: str
    calls: int
    reduce: Callable[[Tensor], Any]


class _EnoughError(BaseException):
    """Every tap has been read; what lies deeper need not run.

    No `Exception`, so that a network which handles its own does not take it for one of them.
    """


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors inside nested lists, tuples, mappings and data classes."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from tensors(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors(getattr(value, field.name))


def first_tensor(value: Any) -> Tensor | None:
    """Find the activation in what a module gives: a tensor, or the first one inside."""
    return next(tensors(value), None)


class _Reading:
    """What one forward has given so far."""

    def __init__(self, taps: Sequence[Tap], *, stops: bool) -> None:
        self.taps, self._stops = taps, stops
        self.found: dict[str, Any] = {}
        self.error: Exception | None = None
        self._counts = dict.fromkeys((tap.name for tap in taps), 0)

    @property
    def is_over(self) -> bool:
        """Whether the rest of the forward is of no use."""
        return self.error is not None or len(self.found) == len(self.taps)

    def listeners(self, network: nn.Module) -> dict[nn.Module, Listener]:
        """Return who listens where."""
        sides: dict[nn.Module, dict[str, list[Tap]]] = {}
        for tap in self.taps:
            module = network.get_submodule(tap.module)
            sides.setdefault(module, {}).setdefault(tap.side, []).append(tap)

        def before(taps: list[Tap]) -> Callable[[nn.Module, Any, Any], None]:
            return lambda _module, args, kwargs: self._hear(taps, args or kwargs)

        def after(taps: list[Tap]) -> Callable[[nn.Module, Any], None]:
            return lambda _module, output: self._hear(taps, output)

        return {
            module: Listener(
                before(taps["input"]) if "input" in taps else None,
                after(taps["output"]) if "output" in taps else None,
            )
            for module, taps in sides.items()
        }

    def _hear(self, taps: list[Tap], value: Any) -> None:
        try:
            for tap in taps:
                self._take(tap, value)
        except Exception as error:  # kept: the network might handle it as one of its own
            self.error = error
        if self.is_over and self._stops:
            raise _EnoughError

    def _take(self, tap: Tap, value: Any) -> None:
        self._counts[tap.name] += 1
        if self._counts[tap.name] != tap.calls:
            return
        tensor = first_tensor(value)
        if tensor is None:
            raise TypeError(f"layer {tap.module!r} returns a {type(value).__name__}, not a tensor")
        self.found[tap.name] = tap.reduce(tensor)


def read(
    network: nn.Module,
    call: Callable[[nn.Module], Any],
    taps: Sequence[Tap],
    *,
    stops: bool = True,
) -> dict[str, Any]:
    """Run ``call(network)`` and return each tap's reduced activation, by name.

    Any number of threads may read one network at the same time. Submodules that the network runs
    in threads of its own are not heard. A network that goes on after the stop, since it handles
    even that, only wastes time: what was read, was read. ``stops=False`` runs all of it, since
    torch.export loses its way where a forward is broken off.
    """
    reading = _Reading(taps, stops=stops)
    try:
        with listening(reading.listeners(network)):
            call(network)
    except _EnoughError:
        pass
    except Exception:  # what a network makes of the stop is its own affair
        if not reading.is_over:
            raise
    if reading.error is not None:
        raise reading.error
    missing = [tap.name for tap in taps if tap.name not in reading.found]
    if missing:
        raise RuntimeError(f"the forward never reached {missing} in the thread that ran it")
    return reading.found
