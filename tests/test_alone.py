"""Rows are functions of their items: a network whose rows are not is refused, by name."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer
from sklearn_pretrained.backbones.own._module import ModuleBackbone
from sklearn_pretrained.exceptions import LayerError, UnsteadyError
from sklearn_pretrained.running import eager
from sklearn_pretrained.running._runner import Room
from tests.conftest import relative_error

X = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
MAPS = np.random.default_rng(0).normal(size=(48, 3, 16, 16)).astype(np.float32)


@pytest.fixture(autouse=True)
def _loaded_anew():
    eager.unload()


def is_real(x: torch.Tensor) -> bool:
    """Tell a forward from a rehearsal on the meta device."""
    return x.device.type != "meta"


class Inner(nn.Module):
    """A linear layer, and what a test does with its output."""

    def __init__(self, spoil) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.spoil = nn.Linear(8, 4), spoil
        self.register_buffer("n", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        return self.spoil(self, y) if is_real(y) else y


def count(module, y):
    module.n += 1
    return y + module.n


SPOILERS = {
    "the first item": (lambda _, y: y - y[:1], "in a batch than alone"),
    "the last item": (lambda _, y: y - y[-1:], "in a batch than alone"),
    "the mean": (lambda _, y: y - y.mean(0), "in a batch than alone"),
    "how many there are": (lambda _, y: y * len(y), "in a batch than alone"),
    "dropout by function": (lambda _, y: nn.functional.dropout(y), "each time"),
    "a buffer that counts": (count, "each time"),
}


def network_of(spoil) -> nn.Module:
    """Wrap a spoiled layer between two good ones."""
    torch.manual_seed(1)
    parts = {"start": nn.Linear(8, 8), "inner": Inner(spoil), "end": nn.Linear(4, 3)}
    return nn.Sequential(*parts.values()) if spoil is None else _named(parts)


def _named(parts: dict[str, nn.Module]) -> nn.Module:
    network = nn.Sequential()
    for name, part in parts.items():
        network.add_module(name, part)
    return network


def featurizer(network: nn.Module, **parameters) -> ModuleFeaturizer:
    return ModuleFeaturizer(
        network, **{"layer": "end", "cache": None, "device": "cpu", **parameters}
    )


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_a_row_that_depends_on_more_than_its_item_is_refused(spoiler):
    """The error names network, layer, and the submodule where it begins."""
    spoil, said = SPOILERS[spoiler]
    ours = featurizer(network_of(spoil)).fit(X)

    with pytest.raises(UnsteadyError, match=said) as error:
        ours.transform(X)
    assert "begins in 'inner' (Inner)" in str(error.value)
    assert "at layer 'end'" in str(error.value)


def test_a_layer_in_front_of_the_fault_can_be_read():
    """What lies behind it does not run."""
    ours = featurizer(network_of(SPOILERS["the mean"][0]), layer="start")

    assert ours.fit_transform(X).shape == (60, 8)


def test_a_deeper_layer_is_checked_when_it_is_first_read():
    """Also by another estimator, after rows of the network were found to be right."""
    network = network_of(SPOILERS["the mean"][0])
    featurizer(network, layer="start").fit_transform(X)

    with pytest.raises(UnsteadyError):
        featurizer(network).fit_transform(X)


def test_a_batch_norm_without_statistics_is_the_one_to_blame():
    """In eval mode too, it takes the batch's."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), norm, nn.ReLU())
    ours = featurizer(network, layer="output", pooling="flatten").fit(MAPS)

    with pytest.raises(UnsteadyError, match=r"begins in '1' \(BatchNorm2d\).*track_running_stats"):
        ours.transform(MAPS)


def test_a_network_of_single_rows_is_run_once_more_for_the_second():
    """The first row of a service costs one forward; history shows with the next."""
    ours = featurizer(network_of(count)).fit(X)
    ours.transform(X[:1])

    with pytest.raises(UnsteadyError, match="each time"):
        ours.transform(X[1:2])


def test_the_check_costs_two_items_once(monkeypatch):
    """And nothing while items come one by one but for the second."""
    sizes = []
    usual = ModuleBackbone.call

    def note(self, network, batch):
        sizes.append(len(batch))
        return usual(self, network, batch)

    monkeypatch.setattr(ModuleBackbone, "call", note)
    ours = featurizer(network_of(lambda _, y: y)).fit(X)
    for rows in (X[:1], X[1:2], X[2:3], X[3:], X[10:20]):
        ours.transform(rows)
    on_items = [n for n in sizes if n != 2]  # two samples are what a network is rearranged with

    # the canary; one; the second twice; one; a batch, and its ends alone; a batch
    assert on_items == [1, 1, 1, 1, 1, 57, 1, 1, 10]


def test_a_service_that_is_one_row_at_a_time_gives_right_rows():
    """The check changes no row."""
    network = network_of(lambda _, y: y)
    ours = featurizer(network).fit(X)
    together = ours.transform(X)
    alone = np.vstack([ours.transform(X[i : i + 1]) for i in range(5)])

    assert relative_error(alone, together[:5]) < 1e-5


class Filter(nn.Module):
    """A filter in the frequencies, with complex weights."""

    def __init__(self, dtype: torch.dtype = torch.complex64) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("h", torch.randn(8, dtype=dtype))
        self.linear = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.fft.ifft(torch.fft.fft(x) * self.h.to(torch.complex64)).real)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_weights_keep_their_imaginary_part(dtype):
    """Rows are those of the network itself."""
    with torch.no_grad():
        right = Filter(dtype)(torch.from_numpy(X)).numpy()

    rows = featurizer(Filter(dtype), layer="output").fit_transform(X)

    assert relative_error(rows, right) < 1e-5


def test_complex_weights_have_no_reduced_precision(monkeypatch):
    """The error names the tensor and the precision that works."""
    monkeypatch.setattr("sklearn_pretrained.running._devices.is_native", lambda *_: True)
    ours = featurizer(Filter(), layer="output", dtype="bfloat16").fit(X)

    with pytest.raises(ValueError, match=r"complex weights \('h'\).*dtype='float32'"):
        ours.transform(X)


def test_a_layer_that_gives_complex_numbers_is_refused():
    """Their imaginary part would be lost."""

    class Frequencies(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(x)

    ours = featurizer(Frequencies(), layer="output").fit(X)

    with pytest.raises(LayerError, match="'output' gives complex numbers"):
        ours.transform(X)


def test_items_that_go_another_way_get_their_own_rows():
    """A convolution is not folded with a batch norm that only some items take."""

    class Exit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
            self.norm.running_mean.normal_()
            self.norm.running_var.uniform_(0.2, 1.2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return y if is_real(x) and x.abs().max() > 50 else self.norm(y)

    items = 100 * MAPS
    with torch.no_grad():
        right = Exit().eval()(torch.from_numpy(items)).flatten(1).numpy()
    ours = featurizer(Exit(), layer="output", pooling="flatten").fit(items)
    for _ in range(2):
        assert relative_error(ours.transform(items), right) < 1e-5


def test_sixteen_threads_read_other_layers_of_one_network(monkeypatch):
    """Rows are those that one thread reads, and forwards do overlap."""
    torch.manual_seed(0)
    running, most = [], []
    usual = ModuleBackbone.call

    def note(self, network, batch):
        running.append(threading.get_ident())
        most.append(len(set(running)))
        try:
            torch.mm(torch.ones(300, 300), torch.ones(300, 300))
            return usual(self, network, batch)
        finally:
            running.remove(threading.get_ident())

    monkeypatch.setattr(ModuleBackbone, "call", note)
    parts = [nn.Sequential(nn.Conv2d(3 if i == 0 else 6, 6, 3, padding=1), nn.BatchNorm2d(6),
                           nn.SiLU(), nn.Dropout()) for i in range(4)]  # fmt: skip
    network = nn.Sequential(*parts).eval()
    layers = [f"{i}.{j}" for i in range(4) for j in range(4)]
    ours = [
        featurizer(network, layer=layer, pooling="avg", batch_size=4).fit(MAPS) for layer in layers
    ]
    right = [one.transform(MAPS) for one in ours]
    eager.unload()
    most.clear()
    with ThreadPoolExecutor(16) as pool:
        for _ in range(2):
            got = list(pool.map(lambda one: one.transform(MAPS), ours))
            for rows, expected in zip(got, right, strict=True):
                assert relative_error(rows, expected) < 1e-5

    assert max(most) > 1


def test_one_shortage_of_memory_does_not_make_batches_small_for_good():
    """After some that fitted, larger ones are tried again; each shortage makes that rarer."""
    room = Room()
    room.fitted(64)
    assert room.most is None

    assert room.ran_out(64)
    tried = []
    for shortage in range(3):
        n = 0
        while room.most == 32:
            room.fitted(32)
            n += 1
        tried.append(n)
        assert room.most == 64
        assert not room.ran_out(64), shortage
    assert tried == sorted(set(tried))


def test_batches_that_are_smaller_anyway_tell_nothing_of_room():
    """Only those of the size in question count."""
    room = Room()
    room.ran_out(64)
    for _ in range(1000):
        room.fitted(8)

    assert room.most == 32


@pytest.mark.parametrize("threads", [1, 2])
def test_autocast_of_the_caller_changes_no_row(threads, patches):
    """Rows are kept under a recipe that says float32, and other requests are served with them."""
    ours = PretrainedImageFeaturizer(layer=2, image_size=64, cache=None).fit(patches)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        expected = ours.transform(patches)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rows = ours.transform(patches)
            assert torch.is_autocast_enabled("cpu")
    finally:
        torch.set_num_threads(before)

    assert relative_error(rows, expected) < 1e-6
