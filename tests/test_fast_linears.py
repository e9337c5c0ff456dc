"""Linear layers through oneDNN: the same numbers, or not used."""

from __future__ import annotations

import platform

import pytest
import torch
from torch import nn

from sklearn_pretrained import PretrainedTextFeaturizer, backbones
from sklearn_pretrained.running import eager
from sklearn_pretrained.running.eager import fast
from sklearn_pretrained.running.eager.fast import _linears, _speed_up
from tests.conftest import relative_error

x86 = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"},
    reason="torch brings oneDNN's operators for these processors only",
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = [nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 16, bias=False)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


@x86
def test_this_release_of_torch_has_the_operators_where_they_were():
    """They are private: a release that moves them is noticed here, and falls back elsewhere."""
    assert _linears.is_there()
    # oneDNN's own condition for reduced precision.
    assert _linears.is_there(torch.bfloat16) == torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_other_precisions_are_left_to_torch():
    """No operator is tried for them."""
    assert not _linears.is_there(torch.float16)
    assert not _linears.is_worth_it(torch.float64)


@x86
@pytest.mark.parametrize("shape", [(24,), (1, 24), (7, 24), (3, 1025, 24), (2, 3, 5, 24), (0, 24)])
def test_any_shape_gives_the_same_rows(network, shape):
    """Also one vector, and nothing at all."""
    x = torch.randn(*shape)
    right = network(x)
    _linears.prepack(network)

    assert network(x).shape == right.shape
    torch.testing.assert_close(network(x), right, rtol=1e-5, atol=1e-6)


@x86
def test_rows_that_do_not_lie_side_by_side_give_the_same(network):
    """Transposed and sliced activations."""
    x = torch.randn(24, 5, 6).permute(2, 1, 0)[::2]
    right = network(x)
    _linears.prepack(network)

    torch.testing.assert_close(network(x), right, rtol=1e-5, atol=1e-6)


@x86
def test_weights_names_and_hooks_stay(network):
    """A tap sees what it saw, and a state dict holds what it held."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    seen = []
    x = torch.randn(3, 24)
    right = network[0](x)
    network[0].register_forward_hook(lambda _m, _a, output: seen.append(output))
    _linears.prepack(network)
    network(x)

    torch.testing.assert_close(seen[0], right, rtol=1e-5, atol=1e-6)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@x86
def test_a_text_encoder_runs_through_onednn(monkeypatch):
    """Where oneDNN wins the race; a tap on a linear layer reads the true value."""
    monkeypatch.setattr(_speed_up, "is_worth_it", lambda *_: True)
    eager.unload()
    texts = ["a cat", "two dogs and a bird", "", "the same " * 40]
    middle = [
        f"encoder.layer.2.{name}" for name in ("intermediate.dense", "intermediate", "output")
    ]
    readings = [{}, {"layer": 3}, *({"layer": name, "pooling": "mean"} for name in middle)]
    plain, fast = [], []
    for found, switch in ((plain, "0"), (fast, "1")):
        monkeypatch.setenv("SKLEARN_PRETRAINED_FAST", switch)
        for reading in readings:
            ours = PretrainedTextFeaturizer(cache=None, device="cpu", **reading)
            found.append(ours.fit_transform(texts))
    encoder = backbones.find_text(ours.model)
    network = eager.load(
        encoder, torch.device("cpu"), torch.float32, encoder.weights.digest()
    ).module
    eager.unload()

    linear = network.get_submodule("encoder.layer.2.intermediate.dense")
    assert "forward" in vars(linear)
    for one, other in zip(plain, fast, strict=True):
        assert relative_error(other, one) < 1e-5


def test_a_layer_of_another_kind_is_left_alone():
    """A subclass may do something else."""

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    network = nn.Sequential(Doubled(3, 3))
    _linears.prepack(network)

    assert "forward" not in vars(network[0])


@pytest.fixture
def forgetful(monkeypatch):
    """Let what was tried be tried again."""
    for function in (_linears.is_there, _linears.is_worth_it):
        function.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for function in (_linears.is_there, _linears.is_worth_it):
        function.cache_clear()


@pytest.mark.parametrize(
    "broken",
    [
        lambda *args: (_ for _ in ()).throw(AttributeError("no such operator")),
        lambda *args: (_ for _ in ()).throw(RuntimeError("another signature")),
        lambda weight, bias, activation="none": lambda x: x @ weight.T * 1.001,
    ],
)
def test_operators_that_moved_or_changed_are_not_used(forgetful, network, broken):
    """The network is then what torch made it, and gives the same."""
    x = torch.randn(5, 24)
    right = network(x)
    forgetful.setattr(_linears, "packed", broken)
    assert not _linears.is_there()
    ours = fast.speed_up(network, torch.device("cpu"), torch.float32, lambda net: net(x))

    assert torch.equal(ours(x), right)


@pytest.mark.parametrize(("value", "said"), [("0", False), ("1", True)])
def test_one_variable_turns_all_of_it_off(monkeypatch, value, said):
    """SKLEARN_PRETRAINED_FAST=0."""
    monkeypatch.setenv("SKLEARN_PRETRAINED_FAST", value)

    assert fast.fast_paths() is said


@x86
def test_one_row_does_not_depend_on_how_many_there_are(network):
    """To the tolerance that is stated."""
    x = torch.randn(1025, 24)
    _linears.prepack(network)
    together = network(x)
    alone = torch.cat([network(x[i : i + 1]) for i in range(0, 1025, 100)])

    assert relative_error(alone.numpy(), together[::100].numpy()) < 1e-5
