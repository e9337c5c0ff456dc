"""A graph is made once on a machine, and read by later processes, which compare fewer rows."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, release
from sklearn_pretrained.running.eager import EagerRunner
from sklearn_pretrained.running.openvino import _graph, _proofs, _saved

X = np.random.default_rng(0).normal(size=(40, 9)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Let graphs be saved in a folder of this test."""
    monkeypatch.setenv(_saved.VARIABLE, str(tmp_path / "graphs"))
    return tmp_path / "graphs"


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """Count the graphs that are made."""
    counted: list[int] = []
    whole = _graph._converted
    monkeypatch.setattr(_graph, "_converted", lambda *args: counted.append(1) or whole(*args))
    return counted


def network(factor=1.0):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 3))
    network[0].weight.data.mul_(factor)
    return network


def rows(factor=1.0, layer="output"):
    """Compute rows as a process does that has just begun."""
    release()
    ours = ModuleFeaturizer(
        network(factor), layer=layer, batch_size=5, cache=None, engine="openvino"
    ).fit(X)
    found = ours.transform(X)
    assert ours.engine_ == "openvino"
    return found


def test_a_later_process_reads_the_graph(folder, made):
    """The same network and layers need no other graph, and give the same rows."""
    first = rows()
    assert len(made) == 1
    again = rows()

    assert len(made) == 1
    assert len(list(folder.iterdir())) == 1
    np.testing.assert_array_equal(first, again)


def test_a_graph_that_is_another_is_made_again(folder, made):
    """What is read is compared with torch, as what was made is."""
    rows(factor=3.0)
    (other,) = folder.iterdir()
    expected = rows()
    (right,) = {*folder.iterdir()} - {other}
    for file in other.iterdir():
        (right / file.name).write_bytes(file.read_bytes())
    made.clear()

    np.testing.assert_allclose(rows(), expected, rtol=1e-5)
    assert len(made) == 1


@pytest.fixture
def by_torch(monkeypatch) -> list[int]:
    """Count the items of batches that torch computes."""
    sizes: list[int] = []
    whole = EagerRunner.rows
    monkeypatch.setattr(
        EagerRunner,
        "rows",
        lambda self, samples, outputs: sizes.append(len(samples)) or whole(self, samples, outputs),
    )
    return sizes


def compared(by_torch):
    """Say how many batches a process compares that has just begun."""
    by_torch.clear()
    rows()
    return len(by_torch)


def test_a_graph_that_was_proved_is_compared_once(folder, by_torch):
    """A process made it, the second one proved what it read, and the third compares one batch."""
    assert [compared(by_torch) for _ in range(4)] == [2, 2, 1, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.setattr(_proofs, "_machine", lambda: {"name": "another"}),
        lambda patch: patch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41"),
    ],
    ids=["another processor", "other instructions"],
)
def test_a_proof_holds_where_the_same_instructions_run(folder, by_torch, monkeypatch, change):
    """Elsewhere, the graph is proved again."""
    for _ in range(3):
        rows()
    with monkeypatch.context() as patch:
        change(patch)
        assert [compared(by_torch) for _ in range(2)] == [2, 1]
    assert compared(by_torch) == 1


def test_a_proof_is_one_of_a_graph_and_its_files(folder):
    """Whoever puts other files there puts no proof there."""
    for name in "ab":
        _saved.save(name, graph())
    checksum = _saved.read("a").checksum
    _proofs.keep_proof(folder / "a", checksum)
    for mark in (folder / "a").glob("proved-*"):
        (folder / "b" / mark.name).touch()

    assert _proofs.has_proof(folder / "a", checksum)
    assert not _proofs.has_proof(folder / "b", checksum)
    assert not _proofs.has_proof(folder / "a", "another")
    assert not _proofs.has_proof(None, checksum)


def test_a_proof_that_cannot_be_kept_is_no_error(tmp_path):
    """Each process proves for itself then."""
    _proofs.keep_proof(tmp_path / "removed meanwhile", "sum")

    assert not _proofs.has_proof(tmp_path / "removed meanwhile", "sum")


def test_a_proved_graph_whose_rows_are_not_those_of_torch_is_made_again(folder, made, monkeypatch):
    """The one batch shows it."""
    for _ in range(3):
        expected = rows()
    made.clear()
    whole = _graph.Graph.rows

    def wrong(self, batch, outputs):
        return whole(self, batch, outputs) * np.float32(1 if self._found is None else 1.001)

    monkeypatch.setattr(_graph.Graph, "rows", wrong)

    np.testing.assert_allclose(rows(), expected, rtol=1e-5)
    assert len(made) == 1


def test_a_graph_is_named_by_all_that_decides_it():
    """Weights, layers, their order, and the shape over which it is traced."""

    def name(factor=1.0, layer=("0", "output"), n=2, width=9):
        ours = ModuleFeaturizer(network(factor), layer=list(layer)).fit(X)
        road = ours.road()
        return _saved.name_of(road.backbone, road.outputs, [torch.zeros(n, width)])

    others = [
        name(factor=2.0),
        name(layer=["0"]),
        name(layer=["output", "0"]),
        name(n=3),
        name(width=8),
    ]

    assert name() == name()
    assert len({name(), *others}) == 1 + len(others)


def test_a_network_that_no_other_process_could_know_has_no_name(monkeypatch):
    """Its graph would never be found."""
    road = ModuleFeaturizer(network()).fit(X).road()
    monkeypatch.setattr(type(road.backbone), "shareable", False)

    assert _saved.name_of(road.backbone, road.outputs, [torch.zeros(2, 9)]) is None


def graph(n=1000):
    """Make a graph of OpenVINO's own, of some size."""
    from openvino import Model, opset13

    given = opset13.parameter([-1, n], np.float32)
    numbers = np.random.default_rng(n).normal(size=n).astype(np.float32)
    return Model([opset13.add(given, opset13.constant(numbers))], [given])


def size(place):
    return sum(file.stat().st_size for file in place.iterdir())


def test_what_is_saved_is_read(folder):
    """As it was."""
    assert _saved.read("a") is None
    _saved.save("a", graph())
    _saved.save("a", graph())  # another process was faster

    assert [one.name for one in folder.iterdir()] == ["a"]
    assert _saved.read("a").graph.get_ops()[0].get_name() is not None
    assert _saved.read("b") is None


@pytest.mark.parametrize("file", ["graph.xml", "graph.bin", "blake3"])
def test_a_damaged_graph_is_removed(folder, file):
    """One flipped bit is enough, so that it is made again."""
    _saved.save("a", graph())
    data = bytearray((folder / "a" / file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "a" / file).write_bytes(data)

    assert _saved.read("a") is None
    assert not (folder / "a").exists()


def test_the_folder_stays_small(folder, monkeypatch):
    """The graphs that were read least recently are removed."""
    for k, name in enumerate("abc"):
        _saved.save(name, graph())
        long_ago = time.time() - 1000 + k
        os.utime(folder / name, (long_ago, long_ago))
    _saved.read("a")
    monkeypatch.setattr(_saved, "MOST_BYTES", int(2.5 * size(folder / "a")))
    _saved.save("d", graph())

    assert sorted(one.name for one in folder.iterdir()) == ["a", "d"]


def test_a_graph_that_is_too_large_is_not_saved(folder, monkeypatch):
    """It is made by each process."""
    monkeypatch.setattr(_saved, "MOST_BYTES", 10)
    _saved.save("a", graph())

    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    """The graph is made by each process."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(_saved.VARIABLE, str(tmp_path / "file" / "graphs"))
    _saved.save("a", graph())

    assert _saved.read("a") is None


def test_graphs_can_be_kept_off_the_disk(monkeypatch):
    """The environment says so."""
    monkeypatch.setenv(_saved.VARIABLE, "0")
    _saved.save("a", graph())

    assert _saved.folder() is None
    assert _saved.read("a") is None


def test_graphs_lie_beside_the_weights_of_torch(tmp_path, monkeypatch):
    """Where nobody says otherwise."""
    monkeypatch.delenv(_saved.VARIABLE)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    assert _saved.folder().is_relative_to(tmp_path)


def test_a_graph_in_a_folder_that_may_only_be_read_is_used(folder, made, monkeypatch):
    """Such as one that lies in an image of a container."""
    first = rows()

    def refused(*_):
        raise PermissionError

    monkeypatch.setattr(_saved.os, "utime", refused)
    np.testing.assert_array_equal(rows(), first)
    assert len(made) == 1


def test_of_a_folder_only_what_was_left_half_written_is_removed(tmp_path):
    """By a process that was killed, a day ago or more."""
    ages = {".graph-old": 2 * _saved._ABANDONED, ".graph-young": 0, "tmp-of-others": 1e7}
    for name, age in ages.items():
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    _saved._make_room(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {".graph-young", "tmp-of-others"}


@pytest.mark.parametrize("place", ["~nobody-of-this-name/graphs", "/proc/1/no/graphs"])
def test_a_folder_that_is_not_there_for_us_is_left_alone(place, monkeypatch):
    """Graphs are then made by each process."""
    monkeypatch.setenv(_saved.VARIABLE, place)

    assert _saved.read("any") is None
    _saved.save("any", None)
    _saved.remove("any")
