"""Taps: what a layer gave, in one forward that stops early and leaves nothing behind."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from sklearn_pretrained.taps._listeners import is_output_read
from sklearn_pretrained.taps._taps import Tap, first_tensor, read
from tests.conftest import make_convnet


class Counting(nn.Module):
    """Passes its input on, and counts how often it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Count and pass on."""
        self.runs += 1
        return x + 1


def tap(module, *, side="output", calls=1, reduce=torch.clone):
    return Tap(f"{module}:{side}", module, side, calls, reduce)


def test_the_forward_stops_after_the_deepest_layer():
    """Nothing behind the deepest tap runs."""
    network = nn.Sequential(Counting(), Counting(), Counting())
    found = read(network, lambda net: net(torch.zeros(1)), [tap("0"), tap("1")])

    assert found["0:output"].item() == 1
    assert found["1:output"].item() == 2
    assert [part.runs for part in network] == [1, 1, 0]


def test_an_input_is_read_before_its_module_runs():
    """Reading what the head is given costs nothing of the head."""
    network = nn.Sequential(Counting(), Counting())
    found = read(network, lambda net: net(torch.zeros(1)), [tap("1", side="input")])

    assert found["1:input"].item() == 1
    assert network[1].runs == 0


def test_nobody_listens_after_the_call():
    """After an early stop or an error, a forward runs to its end, and nothing is read."""
    network = nn.Sequential(Counting(), Counting())
    heard = []

    def broken(_net):
        raise KeyError("broken")

    read(network, lambda net: net(torch.zeros(1)), [tap("0", reduce=heard.append)])
    with pytest.raises(KeyError):
        read(network, broken, [tap("0")])
    network(torch.zeros(1))

    assert len(heard) == 1
    assert [part.runs for part in network] == [2, 1]
    assert not any(is_output_read(part) for part in network)


def test_a_network_is_given_one_hook_however_often_it_is_read():
    """Reading it a thousand times makes it no slower."""
    network = nn.Sequential(Counting())
    for _ in range(3):
        read(network, lambda net: net(torch.zeros(1)), [tap("0"), tap("0", side="input")])

    assert len(network[0]._forward_hooks) == len(network[0]._forward_pre_hooks) == 1


def test_threads_read_one_network_at_the_same_time():
    """Each waits inside the forward until all are there: no lock keeps them apart."""
    together = threading.Barrier(3, timeout=20)

    class Meeting(Counting):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            together.wait()
            return super().forward(x)

    network = nn.Sequential(Counting(), Meeting(), Counting(), Meeting())

    def work(i: int) -> float:
        found = read(network, lambda net: net(torch.full((1,), 10.0 * i)), [tap(str(i))])
        return found[f"{i}:output"].item()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, [1, 2, 1])) == [12, 23, 12]


@pytest.mark.parametrize("handled", [Exception, BaseException])
@pytest.mark.parametrize("answer", ["goes on", "raises"])
def test_a_network_that_handles_errors_does_not_see_the_stop(handled, answer):
    """What it makes of one, even of all there are, changes nothing that was read."""

    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.handled = Counting(), Counting(), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                x = self.first(x)
            except handled:
                self.handled += 1
                if answer == "raises":
                    raise ValueError("no way on") from None
                x = self.first(x - 5)
            return self.last(x)

    network = Careful()
    found = read(network, lambda net: net(torch.zeros(1)), [tap("first")])

    assert found["first:output"].item() == 1
    assert network.handled == (handled is BaseException)


def test_an_error_while_reading_is_raised_whatever_the_network_does_with_it():
    """A fallback inside the network does not hide that a layer cannot be read."""

    class Careful(Counting):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                return super().forward(self.inner(x))
            except Exception:
                return x

    network = Careful()
    network.inner = Counting()

    def reduce(_x):
        raise ValueError("cannot be pooled")

    with pytest.raises(ValueError, match="cannot be pooled"):
        read(network, lambda net: net(torch.zeros(1)), [tap("inner", reduce=reduce)])


def test_an_interrupt_while_hooks_are_put_leaves_a_network_that_can_be_read():
    """Wherever it comes, the next reading is whole."""
    network = nn.Sequential(nn.Identity(), nn.Identity())
    for stop in range(1, 12):
        lines = itertools.count(1)

        def local(_frame, event, _arg, lines=lines, stop=stop):
            if event == "line" and next(lines) == stop:
                sys.settrace(None)
                raise KeyboardInterrupt
            return local

        def trace(frame, _event, _arg, local=local):
            return local if frame.f_code.co_name == "listening" else None

        traced = sys.gettrace()
        sys.settrace(trace)
        with contextlib.suppress(KeyboardInterrupt):
            read(network, lambda net: net(x=torch.ones(1)), [tap("0"), tap("1", side="input")])
        sys.settrace(traced)
        found = read(network, lambda net: net(torch.ones(1)), [tap("0"), tap("1", side="input")])

        assert [x.item() for x in found.values()] == [1, 1]


def test_an_in_place_operation_after_a_layer_does_not_change_what_was_read():
    """The convolution before an in-place ReLU keeps its negative values."""
    network = make_convnet().eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        found = read(network, lambda net: net(x), [tap("stem.1"), tap("body.3")])
        expected = network.stem[1](network.stem[0](x))

    torch.testing.assert_close(found["stem.1:output"], expected)
    assert (expected < 0).any()


def test_a_module_that_runs_several_times_is_read_the_last_time():
    """The third of three runs is the one that counts."""
    shared = Counting()
    network = nn.Sequential(shared, shared, shared)
    found = read(network, lambda net: net(torch.zeros(1)), [tap("0", calls=3)])

    assert found["0:output"].item() == 3


def test_a_layer_that_is_never_reached_is_an_error():
    """A tap on a branch that does not run says so."""
    network = nn.ModuleDict({"used": nn.Identity(), "unused": nn.Identity()})

    with pytest.raises(RuntimeError, match="never reached"):
        read(network, lambda net: net["used"](torch.zeros(1)), [tap("unused")])


@pytest.mark.parametrize(
    "value", [torch.ones(2), (torch.ones(2), None), [None, torch.ones(2)], {"a": torch.ones(2)}]
)
def test_the_first_tensor_of_an_output_is_its_activation(value):
    """Tuples, lists and mappings are searched in order."""
    torch.testing.assert_close(first_tensor(value), torch.ones(2))


def test_an_output_without_a_tensor_has_no_activation():
    """A layer that returns none is told apart."""
    assert first_tensor((None, "text")) is None
