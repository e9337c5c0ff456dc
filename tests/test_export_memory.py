"""Memory of an export: weights go from where they lie into the file, one after the other."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import onnx
import pytest
import torch
from numpy.testing import assert_array_equal

from sklearn_pretrained import ModuleFeaturizer, export_onnx
from sklearn_pretrained.export import _beside, _torch
from sklearn_pretrained.export._beside import Beside
from sklearn_pretrained.exported import load

X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


@pytest.fixture
def wide():
    """A fitted featurizer whose weights are large enough to lie beside a graph."""
    torch.manual_seed(0)
    return ModuleFeaturizer(torch.nn.Linear(8, 400), layer="output").fit(X)


def model(*arrays):
    """A graph that adds up some constants."""
    held = [onnx.numpy_helper.from_array(one, f"w{i}") for i, one in enumerate(arrays)]
    nodes = [onnx.helper.make_node("Sum", [one.name for one in held], ["y"], name="sum")]
    y = onnx.helper.make_tensor_value_info("y", 1, None)
    made = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [y], held))
    onnx.helper.set_model_props(made, {"told": "a fact"})
    return made


@pytest.mark.parametrize("count", [300, 5_000, 3_000_000])
def test_one_file_holds_what_lay_beside(count, tmp_path):
    """As onnx writes it, but for the order of the weights; the second file is gone."""
    wanted = model(np.ones(3, np.float32), np.arange(count, dtype=np.float32), np.full(999, 2.0))
    given = onnx.ModelProto()
    given.CopyFrom(wanted)
    kept = Beside(tmp_path / "m.onnx")
    kept.write(given)
    assert (tmp_path / "m.onnx").stat().st_size < 1000
    assert_array_equal(kept.read(given.graph.initializer[1]), np.arange(count))
    kept.write_as_one(given)

    found = onnx.load(tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    for one in (found, wanted):
        one.graph.initializer.sort(key=lambda tensor: tensor.name)
    assert found == wanted


def test_what_one_file_cannot_hold_stays_beside(monkeypatch, tmp_path):
    """And is read from there."""
    monkeypatch.setattr(_beside, "_MOST_BYTES", 1000)
    kept = Beside(tmp_path / "m.onnx")
    kept.write_as_one(model(np.arange(999, dtype=np.float32)))

    (tensor,) = onnx.load(tmp_path / "m.onnx").graph.initializer
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert_array_equal(onnx.numpy_helper.to_array(tensor), np.arange(999))


def test_the_copy_of_a_network_is_given_back_before_the_file_is_tried(wide, monkeypatch, tmp_path):
    """So that the process never holds it together with what ONNX Runtime makes of the file."""
    alive, graph_of_network = [], _torch.graph_of_network

    def watched(network, keep):
        alive.append(weakref.ref(network.modules[0]))
        made = graph_of_network(network, keep)
        gc.collect()
        alive.append(alive[0]())
        return made

    monkeypatch.setattr("sklearn_pretrained.export._graph.graph_of_network", watched)
    export_onnx(wide, tmp_path / "m.onnx", examples=X)

    assert alive[1] is None


@pytest.mark.parametrize("weights", ["float32", "float16"])
def test_weights_of_every_size_are_in_the_file(weights, tmp_path):
    """Those that lie beside the graph for a while, and those that never do."""
    layers = [torch.nn.Linear(8, 70), torch.nn.Tanh(), torch.nn.Linear(70, 4)]
    featurizer = ModuleFeaturizer(torch.nn.Sequential(*layers), layer="output").fit(X)
    path = tmp_path / "m.onnx"
    export_onnx(featurizer, path, examples=X, weights=weights, min_agreement=0.9)

    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    near = {"float32": 1e-5, "float16": 1e-2}[weights]
    np.testing.assert_allclose(load(path).transform(X), featurizer.transform(X), atol=near)


def test_a_place_that_cannot_be_written_is_named_before_anything_is_computed(wide, tmp_path):
    """A folder that is missing, and one where a file is meant."""
    with pytest.raises(FileNotFoundError, match=r"into '.*none': No such file.* Make that folder"):
        export_onnx(wide, tmp_path / "none" / "m.onnx", examples=X)
    with pytest.raises(IsADirectoryError, match=r"is a folder\. Name the file in it"):
        export_onnx(wide, tmp_path, examples=X)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_replaced(wide, tmp_path):
    """And stays as it was where nothing is written."""
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="too few"):
        export_onnx(wide, path, examples=X, weights="int8")
    assert path.read_bytes() == b"old"
    export_onnx(wide, path, examples=X)

    np.testing.assert_allclose(load(path).transform(X), wide.transform(X), rtol=1e-5, atol=1e-6)
