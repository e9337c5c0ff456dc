"""Layers: named, counted and costed before any weights are there."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sklearn_pretrained import list_layers
from sklearn_pretrained.backbones import find
from sklearn_pretrained.exceptions import LayerError, MissingExtraError
from sklearn_pretrained.layers import plan
from sklearn_pretrained.layers._trace import trace
from tests.conftest import make_convnet


def layers(model, spec):
    return [layer.name for layer in plan(find(model)).resolve(spec)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("layer2", ["layer2"]),
        ("layer2.0.conv1", ["layer2.0.conv1"]),
        (0, ["maxpool"]),
        (-1, ["layer4"]),
        (1.0, ["layer4"]),
        (0.2, ["maxpool"]),
        (0.21, ["layer1"]),
        (["layer1", -1, 0.5], ["layer1", "layer4", "layer2"]),
        ("penultimate", ["penultimate"]),
    ],
)
def test_a_layer_is_a_name_an_int_a_depth_or_a_list(spec, expected):
    """Each way of writing a layer finds the one that it means."""
    assert layers("resnet18", spec) == expected


def test_a_depth_carries_over_to_another_network():
    """Half the depth is a main stage of every network."""
    for model in ("resnet18", "vgg16", "vit_b_16", "swin_t"):
        made = plan(find(model))
        assert layers(model, 0.5)[0] in made.stages


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("layer5", "The nearest names are 'layer"),
        (7, "has 5 main stages, 0 to 4 or -5 to -1"),
        (-6, "out of range"),
        (0.0, r"must be in \(0, 1\]"),
        (1.5, r"must be in \(0, 1\]"),
        ([], "is empty"),
        (True, "must be a name, an int"),
        (None, "must be a name, an int"),
    ],
)
def test_a_layer_that_is_not_there_is_refused_with_what_is(spec, message):
    """The error says what there is instead."""
    with pytest.raises(LayerError, match=message):
        plan(find("resnet18")).resolve(spec)


def test_vgg16_has_a_stage_for_each_layer_with_weights_but_the_last():
    """Thirteen convolutions and two linear layers, each with the ReLU and pooling behind it."""
    made = plan(find("vgg16"))

    assert len(made.stages) == 15
    assert made.layers[made.stages[-1]].shape == (4096,)
    assert made.layers["penultimate"].shape == (4096,)


def test_swin_has_its_channels_on_the_last_axis_until_it_permutes_them():
    """The channel axis is derived from which axes grow with the image."""
    made = plan(find("swin_t"))

    assert made.layers["features.1"].layout.channel == 3
    assert made.layers["permute"].layout.channel == 1
    assert made.layers["features.1"].width("avg") == 96


def test_vit_has_one_token_that_stands_for_the_image():
    """The class token is the one that does not grow with the image."""
    layout = plan(find("vit_b_16")).layers["encoder.ln"].layout

    assert (layout.channel, layout.prefix, layout.first) == (2, 1, True)


def test_costs_grow_with_depth_and_end_at_the_whole():
    """The cost of a layer is the share of the work done when it is reached."""
    table = list_layers("resnet50")
    costs = [layer.cost for layer in table]

    assert costs == sorted(costs)
    assert 0 < costs[0] < 0.1
    assert costs[-1] == 1.0


class EveryProduct(nn.Module):
    """Multiplies matrices in every way that costs."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, stride=2, groups=2)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2, bias=False)
        self.tokens = nn.Conv1d(4, 12, 1)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.linear = nn.Linear(12, 5)
        self.bare = nn.Linear(5, 7, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, attend, multiply."""
        tokens = self.tokens(self.up(self.grouped(x)).flatten(2)).mT
        tokens = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        heads = tokens.unflatten(2, (3, 4)).transpose(1, 2)
        tokens = nn.functional.scaled_dot_product_attention(heads, heads, heads).flatten(2)
        rows = self.bare(self.linear(tokens.flatten(1)[:, :12]))
        return torch.baddbmm(rows[:, None], rows[:, :, None], rows[:, None])


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_operations_are_counted_as_torch_counts_them(device):
    """Layer by layer, the cost is torch's own count."""
    network, x = EveryProduct().eval().to(device), torch.zeros(2, 4, 9, 9, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)

    traced = trace(network, lambda module: module(x))
    assert traced.total == counter.get_total_flops() > 0
    for name in ("grouped", "up", "tokens", "attention", "linear", "bare"):
        counted = sum(counter.get_flop_counts()[f"EveryProduct.{name}"].values())
        assert traced.by_name[name].own_cost == counted > 0


class Odd(nn.Module):
    """Gives maps of which no axis can be told from the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cut the same square from every input."""
        return x[:, :, :4, :4] * 1.0


def test_an_axis_that_cannot_be_told_is_refused_not_guessed():
    """A wrong axis would be a silent wrong number."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Odd(), nn.Flatten(), nn.Linear(64, 2))
    made = plan(find(network, shape=(3, 8, 8)))

    assert made.layers["1"].layout is None
    with pytest.raises(LayerError, match="'flatten' or 'none'"):
        made.layers["1"].pooling("avg")
    assert made.layers["1"].pooling("flatten") == "flatten"


class Residual(nn.Module):
    """Adds a convolution to its input, weighted by place, so that one size of input goes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.places = nn.Parameter(torch.ones(1, 1, 4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the two."""
        return torch.relu(x * self.places + self.conv(x))


def test_a_sum_has_the_axes_of_what_is_added():
    """Also where the input cannot grow, and all axes have one length."""
    network = nn.Sequential(nn.Conv2d(3, 4, 2, 2), Residual(), nn.Flatten(), nn.Linear(64, 2))
    made = plan(find(network, shape=(3, 8, 8)))

    assert made.layers["1"].shape == (4, 4, 4)
    assert made.layers["1"].layout.channel == 1
    assert made.layers["1"].pooling("auto") == "avg"


def test_the_table_reads_well_and_becomes_a_frame():
    """Printed or as a DataFrame, it has a row for each layer."""
    table = list_layers(make_convnet, shape=(3, 32, 32))
    frame = table.to_frame()

    assert "penultimate" in repr(table)
    assert list(frame["layer"]) == [layer.name for layer in table]
    assert frame["width"].tolist() == [8, 12, 16, 16, 5]
    assert len(list_layers(make_convnet, shape=(3, 32, 32), every=True)) > len(table)


def test_a_frame_without_pandas_says_what_to_install(monkeypatch):
    """The table itself needs nothing."""
    table = list_layers("alexnet")
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(MissingExtraError, match=r"needs pandas.*pip install .pandas."):
        table.to_frame()


def test_an_unknown_network_is_refused_with_the_nearest_names():
    """A typing mistake is answered with what was meant."""
    with pytest.raises(ValueError, match="'resnet50'"):
        list_layers("resnet5o")
