"""A graph is made once on a machine, and read by later processes, which prove it again."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import ModuleFeaturizer, release
from sklearn_pretrained.running.openvino import _graph, _saved

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


def test_another_network_or_layer_has_its_own_graph(folder, made):
    """Weights and layers are part of a graph's name."""
    for given in ({}, {"factor": 2.0}, {"layer": "0"}, {"layer": ["0", "output"]}):
        rows(**given)

    assert len(made) == 4
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize("file", ["graph.xml", "graph.bin", "blake3"])
def test_a_damaged_graph_is_made_again(folder, made, file):
    """One flipped bit is enough, and the next process finds a whole one."""
    first = rows()
    (place,) = folder.iterdir()
    data = bytearray((place / file).read_bytes())
    data[len(data) // 2] ^= 1
    (place / file).write_bytes(data)

    np.testing.assert_allclose(rows(), first, rtol=1e-5)
    assert len(made) == 2
    rows()
    assert len(made) == 2


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


def test_the_folder_stays_small(folder, made, monkeypatch):
    """The graphs that were read least recently are removed."""
    rows()
    (first,) = folder.iterdir()
    size = sum(file.stat().st_size for file in first.iterdir())
    monkeypatch.setattr(_saved, "MOST_BYTES", int(2.5 * size))
    rows(factor=2.0)
    (second,) = {*folder.iterdir()} - {first}
    long_ago = time.time() - 1000
    os.utime(first, (long_ago, long_ago))
    os.utime(second, (long_ago + 1, long_ago + 1))
    rows()  # which is now the one that was read last
    rows(factor=3.0)

    assert first.exists()
    assert not second.exists()
    assert len(list(folder.iterdir())) == 2
    assert len(made) == 3


def test_a_graph_that_is_too_large_is_not_saved(folder, monkeypatch):
    """It is made by each process."""
    monkeypatch.setattr(_saved, "MOST_BYTES", 10)
    rows()

    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path, monkeypatch, made):
    """Rows are computed as ever."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(_saved.VARIABLE, str(tmp_path / "file" / "graphs"))
    rows()
    rows()

    assert len(made) == 2


def test_graphs_can_be_kept_off_the_disk(monkeypatch, made):
    """The environment says so."""
    monkeypatch.setenv(_saved.VARIABLE, "0")
    rows()
    rows()

    assert _saved.folder() is None
    assert len(made) == 2


def test_graphs_lie_beside_the_weights_of_torch(tmp_path, monkeypatch):
    """Where nobody says otherwise."""
    monkeypatch.delenv(_saved.VARIABLE)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    assert _saved.folder().is_relative_to(tmp_path)
