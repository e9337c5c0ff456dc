"""Tails: the rest of a network, run from a layer's activation, is the whole network."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from sklearn_pretrained import backbones
from sklearn_pretrained.backbones._weights import digest_of
from sklearn_pretrained.exceptions import LayerError
from sklearn_pretrained.layers import plan
from sklearn_pretrained.running.eager import load
from sklearn_pretrained.tails import WatchedNetwork, tail_of
from sklearn_pretrained.tails._cut import passing_of
from sklearn_pretrained.tails._gradients import EvenMeans
from tests import tail_zoo
from tests.conftest import make_convnet, make_mlp, to_tensor

CPU = torch.device("cpu")


def find(source, name):
    if source == "own":
        return backbones.find_image(name, weights="default", preprocessing=to_tensor)
    return tail_zoo.SOURCES[source][1](name)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("torchvision", "mobilenet_v3_small"),
        ("torchvision", "shufflenet_v2_x0_5"),
        ("images", "ViT classifier"),
        ("images", "Swin classifier"),
        ("texts", "BERT"),
        ("texts", "ALBERT"),  # one block that runs again and again
        ("texts", "DeBERTa-v2"),  # places relative to each other
        ("texts", "T5"),  # its first block makes what all others add
        ("texts", "Llama"),  # rotations that are made before the first block
        ("texts", "MobileBERT"),  # padding shows
        ("texts", "XLM-R"),
        ("towers", "CLIP"),  # reads the last token
        ("towers", "SigLIP"),  # reads padding
        ("own", make_convnet),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_network_runs_from_any_of_its_main_stages(source, name):
    """Networks of all kinds; each tail is compared with the whole before it is given."""
    found = tail_zoo.compare(find(source, name))

    assert found.stages >= 2
    assert found.refused == {}
    assert found.trained == sorted(found.trained, reverse=True)
    assert found.trained[0] > 0


class Blind(nn.Module):
    """Gives the same row for all items, as some pretrained heads do before they are trained."""

    def __init__(self, *, forever: bool) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 4)
        nn.init.zeros_(self.head.weight)
        self._forever = forever

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run both layers."""
        x = self.head(self.first(x))
        return torch.zeros_like(x) if self._forever else x


@pytest.mark.parametrize("forever", [False, True])
def test_the_table_of_tails_compares_rows_that_differ(forever):
    """Weights that hide the items are replaced; where that does not help, the table says so."""
    backbone = backbones.own.ModuleBackbone(Blind(forever=forever), shape=(4,))

    assert tail_zoo.compare(backbone).says_nothing is forever


def test_a_tail_gives_the_whole_networks_result_for_any_number_of_items():
    """More items than it was proved on, and one alone."""
    network = make_convnet().eval()
    backbone = backbones.find_image(network, weights="default", preprocessing=to_tensor)
    made = plan(backbone)
    tail = tail_of(backbone, "body.1", [(made.layers["output"], "flatten")], device=CPU)
    x = torch.randn(17, 3, 32, 32)
    with torch.no_grad():
        activation = network.body[:2](network.stem(x))
        whole = network(x)

        torch.testing.assert_close(tail(activation.clone()), whole)
        torch.testing.assert_close(tail(activation[3:4].clone()), whole[3:4])


def test_batch_norms_are_folded_while_the_tail_is_there():
    """A batch norm behind a convolution costs no pass of its own; released, all is as it was."""
    backbone = backbones.find("resnet18", weights=None)
    made = plan(backbone)
    watched = WatchedNetwork(backbone, [(made.layers["penultimate"], "flatten")], CPU)
    tail = watched.tail(made.layers["layer3"])
    folded = [name for name, part in tail.network.named_modules() if "forward" in vars(part)]
    assert {"layer4.0.conv1", "layer4.0.bn1", "layer4.0.downsample.1"} <= set(folded)
    assert "layer3.0.conv1" not in folded
    watched.release()

    assert not any("forward" in vars(part) for part in watched.network.modules())


def test_gradients_take_no_copies_of_maps_while_the_tail_is_there():
    """Activations write elsewhere than in place, where their gradients need what they read."""
    backbone = backbones.find("mobilenet_v2", weights=None)
    made = plan(backbone)
    watched = WatchedNetwork(backbone, [(made.layers["penultimate"], "flatten")], CPU)
    watched.tail(made.layers["features.16"])
    assert not watched.network.features[17].conv[0][2].inplace
    watched.release()

    assert watched.network.features[17].conv[0][2].inplace


class ReadsWhatIsOverwritten(nn.Module):
    """Counts on an activation to change what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.norm, self.act = nn.BatchNorm2d(4), nn.ReLU6(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all; what the activation returns is not looked at."""
        x = self.norm(self.conv(self.first(x)))
        self.act(x)
        return x.mean((2, 3))


def test_an_activation_that_is_counted_on_to_write_in_place_does():
    """The result says so."""
    network = ReadsWhatIsOverwritten().eval()
    with torch.no_grad():
        network.norm.bias.sub_(1)
    backbone = find("own", network)
    made = plan(backbone)
    tail = tail_of(backbone, "first", [(made.layers["output"], "flatten")], device=CPU)
    x = torch.randn(2, *made.layers["first"].shape)
    with torch.no_grad():
        expected = network.norm(network.conv(x)).clamp(0, 6).mean((2, 3))
        torch.testing.assert_close(tail(x), expected)


def test_the_mean_of_a_map_has_the_gradient_that_it_has_elsewhere():
    """To the bit, in each way to ask for it; other poolings are what they are."""
    pool = nn.functional.adaptive_avg_pool2d
    ways = [
        lambda x: pool(x, 1),
        lambda x: pool(x, output_size=(1, 1)),
        lambda x: pool(x, (2, 1)),
        lambda x: pool(x[0], 1),
        nn.AdaptiveAvgPool2d(1),
    ]
    torch.manual_seed(0)
    x = torch.randn(2, 3, 5, 7).contiguous(memory_format=torch.channels_last)
    for way in ways:
        found = []
        for mode in (contextlib.nullcontext, EvenMeans):
            given = x.clone().requires_grad_(True)
            with mode():
                out = way(given)
            out.square().sum().backward()
            found.append((out.detach(), given.grad))
        torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


class BesideTheNorm(nn.Module):
    """A convolution that a sum reads too, besides its batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all."""
        x = self.conv(self.first(x))
        return self.head((x + self.norm(x)).mean((2, 3)))


def test_a_convolution_that_others_read_too_keeps_its_batch_norm_apart():
    """The result says so, and the tail is the whole network all the same."""
    torch.manual_seed(0)
    network = BesideTheNorm()
    network.norm.running_mean.fill_(1.0)
    backbone = find("own", network)
    made = plan(backbone)
    tail = tail_of(backbone, "first", [(made.layers["output"], "flatten")], device=CPU)
    x = torch.randn(2, *made.layers["first"].shape)
    conv = network.eval().conv(x)
    expected = network.head((conv + network.norm(conv)).mean((2, 3)))

    torch.testing.assert_close(tail(x), expected)


def test_nothing_below_the_layer_runs():
    """What the cached activation stands for costs nothing again."""
    network = make_convnet()
    backbone = backbones.find_image(network, weights="default", preprocessing=to_tensor)
    made = plan(backbone)
    tail = tail_of(backbone, "stem", [(made.layers["output"], "flatten")], device=CPU)
    ran = []
    for name, module in tail.network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
    tail(torch.zeros(2, *tail.layer.shape))

    assert ran == ["body.0", "body.2"]
    assert tail.trained == tuple(
        name for name, _ in network.named_parameters() if not name.startswith("stem")
    )


def test_several_outputs_lie_side_by_side():
    """Layers above the cut, each with its pooling, as a featurizer gives them."""
    network = make_convnet().eval()
    backbone = backbones.find_image(network, weights="default", preprocessing=to_tensor)
    layers = plan(backbone).layers
    outputs = [(layers["body.1"], "max"), (layers["penultimate"], "flatten")]
    tail = tail_of(backbone, "stem", outputs, device=CPU)
    x = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        stem = network.stem(x)
        expected = [network.body[:2](stem).amax((2, 3)), network.body(stem).mean((2, 3))]

        torch.testing.assert_close(tail(stem.clone()), torch.cat(expected, 1))


class Block(nn.Module):
    """Adds what it was given to what its layer gives."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the layer, and go around it."""
        return self.layer(x) + x


def test_a_layer_beside_a_way_around_is_refused_and_its_neighbours_are_named():
    """Inside a residual block the block's input is needed too."""
    blocks = nn.Sequential(*(Block() for _ in range(5)), nn.Linear(4, 2))
    backbone = backbones.own.ModuleBackbone(blocks, shape=(4,))
    output = plan(backbone).layers["output"]

    with pytest.raises(
        LayerError,
        match=r"cannot be run from '2.layer' on: later layers also use '1.layer'. "
        r"The nearest layers that can: '2', '1', '3'",
    ):
        tail_of(backbone, "2.layer", [(output, "flatten")], device=CPU)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("XLM", r"later layers also use 'layer_norm2.0'. .* that can: 'layer_norm2.0'"),
        ("Longformer", "pads texts to other lengths than their own"),
    ],
)
def test_an_encoder_that_no_stage_can_be_trained_from_says_why_and_where_else(name, said):
    """Other layers are named where no main stage can be; no words of torch are passed on."""
    backbone = find("texts", name)
    read = plan(backbone).layers["penultimate"]

    with pytest.raises(LayerError, match=said):
        tail_of(backbone, "hidden_1", [(read, "mean")], device=CPU)


def test_a_layer_above_what_is_read_is_refused():
    """There is nothing between the two."""
    backbone = backbones.find("resnet18", weights=None)
    layers = plan(backbone).layers

    with pytest.raises(LayerError, match="nothing of the network lies between it and 'layer3'"):
        tail_of(backbone, "layer4", [(layers["layer3"], "avg")], device=CPU)


def test_what_passes_a_cut_is_found_from_its_end_on_and_no_further_than_asked():
    """So that a refusal takes a few forwards where many submodules pass."""
    tried = []

    def passes(keys):
        tried.append(len(keys))
        return any(number in {3, 40, 63} for _, number in keys)

    found = passing_of([("block", number) for number in range(64)], passes)

    assert next(found) == ("block", 63)
    assert len(tried) == 7
    assert [number for _, number in found] == [40, 3]


class LooksBack(nn.Module):
    """Adds the input itself to what its last layer gives."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run both layers, and look back."""
        return self.second(self.first(x)) + x


class CountsItems(nn.Module):
    """Gives something else for one item than for two."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Leave out a layer for an odd number of items."""
        x = self.first(x)
        return self.second(x) if len(x) % 2 else x


class CutsUp(nn.Module):
    """Reads the halves of an item one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Cut in two, and put together."""
        return self.second(self.first(x.reshape(-1, 2)).reshape(-1, 4))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (LooksBack, "differs from the whole network"),
        (CountsItems, "takes a different path"),
        (CutsUp, "it gives 8 rows for 4 items"),
    ],
)
def test_a_network_that_a_layer_does_not_decide_is_refused(network, said):
    """Neither one that reads its input again, nor one that depends on the batch."""
    backbone = backbones.own.ModuleBackbone(network(), shape=(4,))

    with pytest.raises(LayerError, match=said):
        tail_of(backbone, "first", [(plan(backbone).layers["output"], "flatten")], device=CPU)


KINDS = [
    ("torchvision", "mobilenet_v2", -3),
    ("torchvision", "resnet18", "layer3"),
    ("torchvision", "densenet121", "features.transition3"),
    ("torchvision", "googlenet", "inception5a"),
    ("torchvision", "convnext_tiny", -2),
    ("images", "ViT classifier", 1),
    ("images", "Swin classifier", 2),
    ("own", make_mlp, "0"),
    ("texts", "BERT", 1),
    ("texts", "T5", 1),
    ("texts", "ModernBERT", 2),
    ("texts", "Llama", 1),
]


@pytest.mark.parametrize(
    ("source", "name", "layer"), KINDS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_step_of_the_tail_is_a_step_of_the_whole_network_with_the_trunk_frozen(
    source, name, layer
):
    """Parameter by parameter, to 1e-5, for networks of different kinds.

    In float64 where there are ReLUs, whose gradient jumps where their input is rounded beyond 0.
    """
    dtype = torch.float32 if source == "texts" else torch.float64
    if name is make_mlp:
        backbone = backbones.own.ModuleBackbone(make_mlp(), shape=(8,))
    else:
        backbone = find(source, name)
    layers = plan(backbone).layers
    read = layers["output" if backbone.has_head else "penultimate"]
    pooling = "mean" if len(read.shape) == 2 else "flatten"
    whole = backbone.build().eval().requires_grad_(False).to(dtype)
    before = digest_of(whole)
    tail = tail_of(backbone, layer, [(read, pooling)], device=CPU)
    tail.network.to(dtype)
    samples = list(backbone.example()) * 2
    batch = backbone.collate(samples, CPU, dtype)
    mask = backbone.mask(batch)
    activation, rows = whole_network(
        whole, backbone, batch, tail.layer, mask=mask, trained=tail.trained
    )
    lengths = None if mask is None else mask.sum(1).tolist()
    for parameter in tail.parameters().values():
        parameter.requires_grad_(True)
    ours = tail(activation, lengths)
    most = 1e-5 * float(rows.detach().abs().max())
    torch.testing.assert_close(ours, rows, rtol=1e-5, atol=most, check_dtype=False)
    weights = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    steps = []
    for network, result in ((whole, rows), (tail.network, ours)):
        (result * weights).sum().backward()
        named = dict(network.named_parameters())
        steps.append({name: named[name].grad for name in tail.trained})

    assert set(steps[0]) == {n for n, p in whole.named_parameters() if p.grad is not None}
    for part, expected in steps[0].items():
        error = float((steps[1][part] - expected).norm() / expected.norm().clamp(min=1e-6))
        assert error < 1e-5, (part, error)
    assert digest_of(whole) == before


def whole_network(network, backbone, batch, cut, *, mask, trained):
    """Run a network whose upper parameters learn; return what a layer gave, and its rows."""
    kept = []
    module = network.get_submodule(cut.module)
    if cut.side == "output":
        handle = module.register_forward_hook(lambda _m, _x, out: kept.append(out))
    else:
        handle = module.register_forward_pre_hook(lambda _m, x: kept.append(x))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    out = backbone.call(network, batch)
    handle.remove()
    out = out if isinstance(out, torch.Tensor) else next(iter(out.values()))
    activation = kept[cut.calls - 1]
    activation = activation if isinstance(activation, torch.Tensor) else activation[0]
    activation = activation.detach().clone()
    if mask is None or out.ndim != 3:
        return activation, out.flatten(1)
    return activation * mask[:, :, None], (out * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]


def test_the_network_in_the_registry_never_changes():
    """A tail is a network of its own: trained or not, the shared one stays what it was."""
    backbone = backbones.find("mobilenet_v2")
    shared = load(backbone, CPU, torch.float32, backbone.weights.digest()).module
    before = digest_of(shared)
    layers = plan(backbone).layers
    tail = tail_of(backbone, -2, [(layers["penultimate"], "flatten")], device=CPU)
    learning = list(tail.parameters().values())
    for parameter in learning:
        parameter.requires_grad_(True)
    step = torch.optim.SGD(learning, lr=1.0)
    tail(torch.randn(2, *tail.layer.shape)).sum().backward()
    step.step()

    assert digest_of(tail.network) != before
    assert digest_of(shared) == before
    assert not any(p.requires_grad for p in shared.parameters())


def test_watching_leaves_a_network_as_it_was():
    """After all tails were tried, it gives what it gave, and has no hook and no forward of ours."""
    backbone = find("texts", "BERT")
    made = plan(backbone)
    network = copy.deepcopy(backbone.build())
    watched = WatchedNetwork(backbone, [(made.layers["output"], "mean")], CPU)
    watched.tail(made.layers["hidden_1"])
    watched.release()

    assert digest_of(watched.network) == digest_of(network)
    for module in watched.network.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def halve(_module, _args, output):
    return output / 2


def described(network):
    return backbones.find_image(network.eval(), weights="default", preprocessing=to_tensor)


@pytest.mark.parametrize("hooked", ["every module", "stem", "head"])
def test_a_tail_is_refused_where_hooks_come_between_forward_and_row(hooked):
    """Rows are read behind hooks, so those of where it is cut would run twice, of its end never."""
    network = make_convnet()
    one = register_module_forward_hook
    handle = (one if " " in hooked else network.get_submodule(hooked).register_forward_hook)(halve)
    try:
        backbone = described(network)
        with pytest.raises(LayerError, match="hook"):
            tail_of(backbone, "stem", [(plan(backbone).layers["head"], "flatten")], device=CPU)
    finally:
        handle.remove()


def test_a_tail_runs_under_no_hooks_that_came_later():
    """Those of every module: it is refused before it gives other rows than the network does."""
    backbone = described(make_convnet())
    tail = tail_of(backbone, "stem", [(plan(backbone).layers["head"], "flatten")], device=CPU)
    activation = torch.zeros(2, 8, 15, 15)
    tail(activation)

    handle = register_module_forward_hook(halve)
    try:
        with pytest.raises(LayerError, match="every module"):
            tail(activation)
    finally:
        handle.remove()


def test_hooks_inside_a_tail_are_called():
    """A convolution that has one is not run as one with the batch norm behind it."""
    parts = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()]
    network = nn.Sequential(*parts).eval()
    reach = 20  # further than the samples go on which folding is tried
    network[2].register_forward_hook(lambda _module, _args, output: output.clamp(-reach, reach))
    backbone = described(network)
    tail = tail_of(backbone, "1", [(plan(backbone).layers["4"], "flatten")], device=CPU)
    activation = 1000 * torch.rand(3, 8, 30, 30)

    with torch.no_grad():
        expected = network[2:](activation).flatten(1)
        assert network[2](activation).abs().max() == reach
        torch.testing.assert_close(tail(activation.clone()), expected)
