"""Taps: what a layer gave, in one forward that stops early and leaves nothing behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sklearn_pretrained._taps import Tap, first_tensor, read
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


def test_no_hook_outlives_the_call():
    """Neither an early stop nor an error leaves a hook on the network."""
    network = make_convnet().eval()

    def broken(_net):
        raise KeyError("broken")

    read(network, lambda net: net(torch.zeros(1, 3, 32, 32)), [tap("stem")])
    with pytest.raises(KeyError):
        read(network, broken, [tap("stem")])

    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


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
