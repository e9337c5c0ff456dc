"""Fast paths of image networks: the same numbers at every tap, and nothing else changed."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, backbones
from sklearn_pretrained.backbones import find
from sklearn_pretrained.backbones._weights import digest_of
from sklearn_pretrained.running import eager
from sklearn_pretrained.running.eager import _registry
from sklearn_pretrained.running.eager.fast import (
    _convs,
    _fold,
    _linears,
    _memory,
    _pairs,
    _speed_up,
    speed_up,
)
from sklearn_pretrained.running.eager.fast._attention import attend_blockwise
from tests.conftest import relative_error
from tests.fast_zoo import CPU, TOLERANCE, compare, error, pair, read_one, shake

NETWORKS = (
    "resnet18",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "shufflenet_v2_x0_5",
    "regnet_y_400mf",
    "vit_b_32",
)


def replaced(network: nn.Module) -> list[str]:
    """List the submodules that run another forward than their class's."""
    return [name for name, module in network.named_modules() if "forward" in vars(module)]


def sped_up(network: nn.Module, *shape: int) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """Return a network, the same sped up, and a batch."""
    batch = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    plain = shake(network)
    return plain, speed_up(plain, CPU, torch.float32, lambda net: net(batch)), batch


class _Net(nn.Module):
    """Convolution and batch norm with something of one's own in between, or around them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.norm(self.conv(x)))


class _ReadTwice(_Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.norm(y) + y.sigmoid()


class _RunTwice(_Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x))
        return y.mean() + self.norm(self.conv(x * 2))


class _Wrapped(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 8, 3))  # type: ignore[assignment]


class _WorksInPlace(_Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x).add_(1))


class _Returns(_Net):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
        y = self.conv(x)
        return self.norm(y), y


class _ViewsItsChannels(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Conv2d(8, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(super().forward(x))
        return x.view(x.shape[0], -1)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tap_reads_the_same(name):
    """Convolutions, batch norms, activations, blocks, inputs: alone and all together."""
    rows = list(compare(name))

    assert len(rows) > 20
    assert max(rows, key=lambda row: row[2])[2] <= TOLERANCE


@pytest.mark.parametrize("name", ["mobilenet_v2", "vit_b_32"])
def test_weights_stay_what_they_are(name):
    """State dict, names and digest are those of the network that was loaded."""
    plain, fast, _ = pair(name)

    assert replaced(fast)
    assert digest_of(fast) == digest_of(plain)
    assert list(fast.state_dict()) == list(plain.state_dict())
    assert all(
        torch.equal(a, b) for a, b in zip(plain.parameters(), fast.parameters(), strict=True)
    )


def test_a_folded_batch_norm_does_no_work_until_it_is_read():
    """Unread, the batch norm passes on what it gets; a tap before it brings the true value back."""
    plain, fast, x = sped_up(_Net(), 3, 12, 12)

    with torch.inference_mode():
        assert torch.equal(fast.norm(x := fast.conv(x)), x)
    plain, fast, x = sped_up(_Net(), 3, 12, 12)
    taps = [("conv", "output"), ("norm", "input"), ("norm", "output"), ("relu", "input")]
    for chosen in (*[[tap] for tap in taps], taps):
        for a, b in zip(read_one(plain, x, *chosen), read_one(fast, x, *chosen), strict=True):
            assert error(a, b) <= TOLERANCE


def test_an_activation_is_folded_as_well_where_its_values_are_torchs():
    """SiLU runs inside the convolution, and apart while a tap lies before it."""
    if "swish" not in _convs.fusible():
        pytest.skip("oneDNN computes this activation otherwise")
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU())
    plain, fast, x = sped_up(network, 3, 12, 12)

    assert replaced(fast) == ["0", "1", "2"]
    with torch.inference_mode():
        assert error(plain(x), fast[0](x)) <= TOLERANCE
    for tap in [(str(i), side) for i in range(3) for side in ("input", "output")]:
        assert error(*(read_one(net, x, tap)[0] for net in (plain, fast))) <= TOLERANCE


@pytest.mark.parametrize(
    "padding", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}]
)
def test_a_convolution_that_onednn_cannot_run_leaves_its_activation_alone(padding):
    """Its batch norm is folded all the same."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, **padding), nn.BatchNorm2d(8), nn.SiLU())
    plain, fast, x = sped_up(network, 3, 12, 12)

    assert replaced(fast) == ["0", "1"]
    with torch.inference_mode():
        assert error(plain(x), fast(x)) <= TOLERANCE


@pytest.mark.parametrize(
    "network", [_ReadTwice, _RunTwice, _Wrapped, _WorksInPlace, _Returns], ids=lambda c: c.__name__
)
def test_what_others_read_as_well_is_not_folded(network):
    """A convolution whose output goes anywhere but into its batch norm keeps its own forward."""
    plain, fast, x = sped_up(network(), 3, 12, 12)

    assert replaced(fast) == []
    with torch.inference_mode():
        for a, b in zip(plain(x), fast(x), strict=True):
            assert error(a, b) <= TOLERANCE


def test_a_step_that_a_network_does_not_bear_is_undone_alone():
    """A network that views its maps as rows cannot have channels last; its batch norm is folded."""
    plain, fast, x = sped_up(_ViewsItsChannels(), 3, 12, 12)

    assert fast.second.weight.is_contiguous()
    with torch.inference_mode():
        assert error(plain(x), fast(x)) <= TOLERANCE


def test_activations_go_while_a_network_is_watched():
    """A trial needs hardly more memory than a forward, however deep the network is."""
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()) for _ in range(12)))
    given, alive = [], []

    def count(_module, _args, output):
        given.append(weakref.ref(output))
        alive.append(sum(one() is not None for one in given))

    for module in network.modules():
        module.register_forward_hook(count)
    batch = torch.randn(2, 8, 32, 32)
    seen = _pairs.flow(network, lambda net: net(batch))

    assert seen.next_of["0.0"] == "0.1"
    assert len(given) > 4 * max(alive)


def test_folded_weights_are_the_only_second_copy():
    """A convolution that is folded has a copy of its weights, and shares those it was given."""
    plain, fast, _ = sped_up(_Net(), 3, 12, 12)
    theirs, ours = dict(plain.named_parameters()), dict(fast.named_parameters())
    folded = [
        name
        for name, m in fast.named_modules()
        if isinstance(m, nn.Conv2d) and vars(m).get("forward")
    ]

    assert folded
    assert all(
        ours[f"{name}.weight"].data_ptr() == theirs[f"{name}.weight"].data_ptr() for name in folded
    )


def test_a_wrong_step_is_undone(monkeypatch):
    """A fold that gave other numbers leaves no trace."""
    monkeypatch.setattr(_convs, "packs", lambda *_: False)
    monkeypatch.setattr(
        "sklearn_pretrained.running.eager.fast._fold.folded",
        lambda conv, norm, _dtype: (conv.weight * 1.001, norm.bias),
    )
    plain, fast, x = sped_up(_Net(), 3, 12, 12)

    assert replaced(fast) == []
    with torch.inference_mode():
        assert torch.equal(plain(x), fast(x))


@pytest.mark.parametrize("rounded_twice", [False, True])
def test_less_precision_is_folded_before_it_is_rounded(rounded_twice, monkeypatch):
    """Rows get closer to float32 than without; a fold that took them away would be undone."""
    monkeypatch.setattr(_speed_up, "is_native", lambda *_: True)  # emulated where it is not
    torch.manual_seed(0)
    parts = [(nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16), nn.ReLU()) for _ in range(4)]
    exact = shake(nn.Sequential(nn.Conv2d(3, 16, 3), *(part for three in parts for part in three)))
    plain = copy.deepcopy(exact).bfloat16()
    if rounded_twice:
        coarse = _fold.folded
        monkeypatch.setattr(_fold, "folded", lambda *pair: [x * 1.02 for x in coarse(*pair)])
    x = torch.randn(2, 3, 16, 16)

    def call(network):
        return network(x.to(network[0].weight.dtype))

    fast = speed_up(plain, CPU, torch.bfloat16, call, exact=lambda: exact)

    assert bool(replaced(fast)) != rounded_twice
    with torch.inference_mode():
        assert error(call(exact), call(fast).float()) <= error(call(exact), call(plain).float())


@pytest.mark.parametrize("device", [CPU, torch.device("cuda")])
def test_where_no_step_applies_nothing_is_run_or_loaded_again(device, monkeypatch):
    """A text encoder that linear layers through oneDNN would not help has none to take."""
    monkeypatch.setattr(_speed_up, "is_native", lambda *_: True)
    monkeypatch.setattr(_speed_up, "is_worth_it", lambda *_: False)
    network = nn.Sequential(nn.Linear(3, 3), nn.GELU()).bfloat16()

    assert speed_up(network, device, torch.bfloat16, pytest.fail, exact=pytest.fail) is network


def test_the_network_that_is_made_faster_stays_as_it_is():
    """Its forwards, hooks, tensors and layouts; the faster one beside it shares the weights."""
    plain = shake(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3)))
    before = {name: (x, x.data_ptr(), x.stride()) for name, x in plain.state_dict().items()}
    fast = speed_up(plain, CPU, torch.float32, lambda net: net(torch.ones(2, 3, 9, 9)))

    assert replaced(fast)
    assert replaced(plain) == []
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in plain.modules())
    after = plain.state_dict()
    assert before == {
        name: (before[name][0], after[name].data_ptr(), after[name].stride()) for name in after
    }
    assert fast[1].running_mean.data_ptr() == plain[1].running_mean.data_ptr()


class _HoldsOn(_Net):
    """Runs a function that was made inside another network of its kind, and knows that one."""

    def __init__(self) -> None:
        super().__init__()
        self.run = lambda x: self.norm(self.conv(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.run(x))


def test_a_network_that_a_copy_would_run_is_left_alone():
    """A copy of it would have layers that nobody can read, since the old ones run."""
    plain, fast, _ = sped_up(_HoldsOn(), 3, 12, 12)

    assert fast is plain


@pytest.mark.parametrize(
    "look",
    [
        lambda y: y.abs().max() > 50,
        lambda y: y.abs().max().item() > 50,
        lambda y: max(y.flatten().tolist()) > 50,
        lambda y: y.numpy().max() > 50,
        lambda y: len(y[y > 50]) > 0,
        lambda y: not torch.allclose(y, y.clamp(max=50)),
        lambda y: "inf" in str(y),
    ],
)
def test_a_network_that_looks_at_values_is_not_folded(look):
    """Another item may go a way on which the convolution meets no batch norm."""

    class Exit(_Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return y if look(y) else self.norm(y)

    plain, fast, x = sped_up(Exit(), 3, 12, 12)

    assert replaced(fast) == []
    with torch.inference_mode():
        assert error(plain(1000 * x), fast(1000 * x)) <= TOLERANCE


def test_without_private_operators_the_numbers_are_the_same(monkeypatch):
    """The fold stays where oneDNN's prepacked convolution is missing."""
    monkeypatch.setattr(_convs, "packs", lambda *_: False)
    plain, fast, x = sped_up(_Net(), 3, 12, 12)

    assert replaced(fast) == ["conv", "norm"]
    with torch.inference_mode():
        assert error(plain(x), fast(x)) <= TOLERANCE


def test_a_broken_image_stays_broken():
    """NaN in an input is NaN in its row, whatever was fused."""
    for activation in (nn.ReLU(), nn.ReLU6(), nn.SiLU(), nn.Hardswish()):
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), activation)
        _, fast, x = sped_up(network, 3, 12, 12)
        x[0, 0, 5, 5] = torch.nan
        with torch.inference_mode():
            rows = fast(x).mean((2, 3))

        assert rows[0].isnan().any()
        assert rows[1].isfinite().all()


def test_a_clip_that_hides_nan_is_fused_only_where_no_nan_can_come():
    """Pixels are tame, numbers of the user's own are not."""
    batch = torch.randn(2, 3, 12, 12)
    for tame in (False, True):
        network = shake(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6()))
        fast = speed_up(network, CPU, torch.float32, lambda net: net(batch), tame=tame)

        assert replaced(fast) == (["0", "1", "2"] if tame else ["0", "1"])
        with torch.inference_mode():
            assert error(network(batch), fast(batch)) <= TOLERANCE
    assert find("mobilenet_v2").is_tame
    assert not find(nn.Flatten(), shape=(3,)).is_tame


def test_a_network_is_rearranged_when_many_images_come(monkeypatch):
    """One image of a service gets its row at once; the rows agree before and after."""
    eager.unload()
    done = []
    ours = speed_up
    monkeypatch.setattr(_registry, "speed_up", lambda *a, **k: done.append(1) or ours(*a, **k))
    images = np.random.default_rng(0).integers(0, 256, (24, 40, 40, 3), dtype=np.uint8)
    featurizer = PretrainedImageFeaturizer(image_size=64, cache=None, device="cpu").fit(images)
    first = featurizer.transform(images[:2])

    assert done == []
    rest = featurizer.transform(images)
    assert done == [1]
    assert relative_error(rest[:2], first) < TOLERANCE
    featurizer.transform(images)
    assert done == [1]
    eager.unload()


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_is_the_same_with_every_argument(batch_first):
    """Self-attention is fast; masks, weights and cross-attention take the module's own way."""
    torch.manual_seed(0)
    own = nn.MultiheadAttention(24, 4, batch_first=batch_first).eval().requires_grad_(False)
    fast = copy.deepcopy(own)
    attend_blockwise(fast)
    x, other = torch.randn(7, 7, 24), torch.randn(7, 7, 24)
    mask = torch.ones(7, 7, dtype=torch.bool).triu(1)
    with torch.inference_mode():
        for args, kwargs in (
            ((x, x, x), {"need_weights": False}),
            ((x, x, x), {}),
            ((x, other, other), {"need_weights": False}),
            ((x, x, x), {"need_weights": False, "attn_mask": mask}),
            ((x, x, x), {"need_weights": False, "attn_mask": mask, "is_causal": True}),
            ((x[0], x[0], x[0]), {"need_weights": False}),
        ):
            (a, weights), (b, fast_weights) = own(*args, **kwargs), fast(*args, **kwargs)

            assert error(a, b) <= TOLERANCE
            assert (weights is None) == (fast_weights is None)


def test_linear_layers_through_onednn_are_the_same(monkeypatch):
    """Where oneDNN wins the race, linears and attention run through it."""
    if not _linears.is_there():
        pytest.skip("this build of torch has no such operators")
    for place in (_speed_up, "sklearn_pretrained.running.eager.fast._attention"):
        name = place if isinstance(place, str) else place.__name__
        monkeypatch.setattr(f"{name}.is_worth_it", lambda *_: True)
    plain, fast, batch = pair("vit_b_32")
    block = "encoder.layers.encoder_layer_3"

    assert f"{block}.mlp.0" in replaced(fast)
    taps = [
        *((f"{block}.{part}", "output") for part in ("self_attention", "mlp.0", "mlp.1", "mlp")),
        (f"{block}.mlp.1", "input"),
        ("heads.head", "output"),
    ]
    for chosen in (*[[tap] for tap in taps], taps):
        found = zip(read_one(plain, batch, *chosen), read_one(fast, batch, *chosen), strict=True)
        assert all(error(a, b) <= TOLERANCE for a, b in found)


def test_two_threads_read_different_layers():
    """One reads between folded parts and one behind them: each gets its own."""
    torch.manual_seed(0)
    network = shake(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()))
    X = np.random.default_rng(0).normal(size=(64, 3, 10, 10)).astype(np.float32)
    expected, wrong = {}, []
    for layer in ("0", "1", "2"):
        with torch.inference_mode():
            expected[layer] = network[: int(layer) + 1](torch.from_numpy(X)).mean((2, 3)).numpy()
    eager.unload()
    handle = backbones.ModuleHandle(network)

    def work(layer: str) -> None:
        featurizer = ModuleFeaturizer(handle, layer=layer, batch_size=4, cache=None, device="cpu")
        featurizer.fit(X)
        for _ in range(4):
            rows = featurizer.transform(X)
            if not np.allclose(rows, expected[layer], rtol=1e-5, atol=1e-5):
                wrong.append(layer)

    threads = [threading.Thread(target=work, args=(layer,)) for layer in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_the_switch_turns_everything_off(monkeypatch):
    """SKLEARN_PRETRAINED_FAST=0 leaves a network as torch made it."""
    monkeypatch.setenv("SKLEARN_PRETRAINED_FAST", "0")
    _, fast, _ = sped_up(_Net(), 3, 12, 12)

    assert replaced(fast) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_the_private_operators_are_where_they_were():
    """A release of torch that moves them makes this fail, and users only slower."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("a build without oneDNN")
    assert _convs.packs()
    assert {"swish", "hardswish"} <= _convs.fusible()


def test_weights_are_laid_out_for_two_shapes_that_come_often():
    """Others run with plain weights; the numbers are the same before and after, for every shape."""
    plain, fast, _ = sped_up(_Net(), 3, 12, 12)
    batch = torch.randn(3, 3, 12, 12)
    with torch.inference_mode():
        for n in (1, 2, 1, 3) * 8:
            assert error(plain(batch[:n]), fast(batch[:n])) <= TOLERANCE
    convolve = fast.conv.forward.__self__.convolve
    if _convs.packs():
        assert {case[0] for case in convolve.layouts} == {1, 2, 3}
        assert 1 <= len(convolve._kept) <= 2
        assert {*map(id, convolve.layouts.values())} <= {
            *map(id, convolve._kept),
            id(convolve.plain),
        }


def test_weights_are_laid_out_for_each_number_of_threads():
    """The layout of one number is many times as slow as a plain weight for another."""
    plain, fast, _ = sped_up(_Net(), 3, 12, 12)
    batch, threads = torch.randn(1, 3, 12, 12), torch.get_num_threads()
    try:
        with torch.inference_mode():
            for n in (1, 2) * 6:
                torch.set_num_threads(n)
                assert error(plain(batch), fast(batch)) <= TOLERANCE
    finally:
        torch.set_num_threads(threads)
    if _convs.packs():
        assert {case[-1] for case in fast.conv.forward.__self__.convolve.layouts} == {1, 2}


def test_layouts_that_are_the_same_are_kept_once():
    """One weight serves all sizes of batches for which oneDNN wants the same."""
    if not _convs.packs():
        pytest.skip("a build without oneDNN")
    conv = nn.Conv2d(8, 8, 3)
    ours = _convs._OnOneDNN(conv, conv.weight.detach(), conv.bias.detach())
    twice = [ours.laid_out((1, 8, 9, 9)) for _ in range(2)]

    assert _convs._are_alike(*twice)
    assert ours._best((1, 8, 9, 9)) is ours._best((1, 8, 9, 9))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_freed_pages_are_kept():
    """After `keep_pages`, a large block that comes again costs the system no new pages."""
    code = """
import resource, torch
from sklearn_pretrained.running.eager.fast._memory import keep_pages
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
usual = faults()
print(keep_pages(), faults() and faults() < usual / 5)
"""
    if not _memory.keep_pages():
        pytest.skip("another C library")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.split() == ["True", "True"]
