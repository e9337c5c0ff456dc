"""OpenVINO computes rows: those of torch, or none."""

from __future__ import annotations

import json
import multiprocessing
import sys

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    memory_cache,
    release,
)
from sklearn_pretrained.backbones.images._preprocessing import ImagePreprocessing
from sklearn_pretrained.backbones.transformers._vision_processing import ProcessorSteps
from sklearn_pretrained.exceptions import MissingExtraError
from sklearn_pretrained.running import _streams
from sklearn_pretrained.running.eager import EagerRunner
from sklearn_pretrained.running.openvino import _graph, _runner
from tests.conftest import make_convnet, relative_error, to_tensor
from tests.text_zoo import make_folder
from tests.vision_zoo import make_folder as make_vision_folder

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")


@pytest.fixture(autouse=True)
def _not_tried_before():
    release()


@pytest.fixture
def by_torch(monkeypatch) -> list[int]:
    """Count the rows that torch computes."""
    sizes: list[int] = []
    whole = EagerRunner.rows

    def counting(self, samples, outputs):
        sizes.append(len(samples))
        return whole(self, samples, outputs)

    monkeypatch.setattr(EagerRunner, "rows", counting)
    return sizes


def convnet(**parameters):
    own = {"preprocessing": to_tensor, "device": "cpu", "cache": None, "batch_size": 4}
    return PretrainedImageFeaturizer(make_convnet, **{**own, **parameters})


def featurizer(kind, folder):
    """Return a featurizer over a small network of some kind."""
    if kind == "texts":
        return PretrainedTextFeaturizer(str(make_folder(folder / "bert", "BERT")), cache=None)
    if kind == "rows":
        make = lambda: nn.Sequential(nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 3))
        return ModuleFeaturizer(make, layer=["0", "output"], batch_size=5, cache=None)
    if kind == "own":
        return convnet(layer=["stem", "body", "output"], pooling="max")
    if kind == "mirrored":
        return convnet(layer="body", augment="flip")
    if kind == "maps":
        return convnet(layer="body", pooling="none")
    return PretrainedImageFeaturizer(
        f"timm/test_{kind}", weights=None, layer=[0.5, "penultimate"], cache=None
    )


@pytest.mark.parametrize("kind", ["own", "mirrored", "maps", "rows", "vit", "efficientnet"])
def test_rows_are_those_of_torch(kind, patches, tmp_path, by_torch):
    """Of several layers and poolings, in batches of any size, and alone."""
    X = patches * 2
    if kind == "rows":
        X = np.random.default_rng(0).normal(size=(48, 9)).astype(np.float32)
    ours = featurizer(kind, tmp_path).fit(X)
    expected = ours.transform(X)
    release()
    ours.set_params(engine="openvino")
    first = ours.transform(X[:30])
    by_torch.clear()

    rest = ours.transform(X[30:])
    one = ours.transform(X[:1])

    assert by_torch == []
    assert ours.engine_ == "openvino"
    assert ours.provenance().to_dict()["engine"] == "openvino"
    flat = [rows.reshape(len(rows), -1) for rows in (np.concatenate([first, rest]), expected, one)]
    assert relative_error(flat[0], flat[1]) < 1e-5
    assert relative_error(flat[2], flat[1][:1]) < 1e-5


def test_several_batches_run_at_the_same_time(monkeypatch, patches):
    """Each thread has its own request of one graph."""
    expected = convnet(layer="body").fit_transform(patches)
    monkeypatch.setattr(_streams, "_threads", lambda: 3)
    ours = convnet(layer="body", engine="openvino").fit(patches)
    ours.transform(patches)

    for _ in range(5):
        assert relative_error(ours.transform(patches), expected) < 1e-5
    assert ours.engine_ == "openvino"


@pytest.mark.parametrize("augment", [None, "flip"])
def test_a_graph_of_a_named_network_scales_the_bytes_of_images(monkeypatch, augment):
    """Also of their mirror images."""
    given = []
    whole = _graph.Graph.rows
    monkeypatch.setattr(
        _graph.Graph, "rows", lambda self, x, outputs: given.append(x) or whole(self, x, outputs)
    )
    X = np.random.default_rng(0).integers(0, 256, (10, 40, 50, 3), np.uint8)
    how = {"augment": augment, "cache": None, "batch_size": 3, "image_size": 64}
    expected = PretrainedImageFeaturizer(**how).fit_transform(X)
    rows = (ours := PretrainedImageFeaturizer(**how, engine="openvino")).fit_transform(X)

    assert ours.engine_ == "openvino"
    assert {x.dtype for x in given} == {torch.uint8}
    assert relative_error(rows, expected) < 1e-5


_LINE = {"interpolation": "bilinear", "mean": (0.5, 0.4, 0.3), "std": (0.3, 0.2, 0.1)}


@pytest.mark.parametrize(
    "preprocessing",
    [
        ImagePreprocessing(8, 6, **_LINE),
        ImagePreprocessing(8, 6, **_LINE, resizer="exact"),
        ProcessorSteps(8, 8, **_LINE, shape=(8, 8), swapped=True),
    ],
    ids=["fast", "exact", "swapped"],
)
def test_scaling_in_a_graph_is_scaling_before_it(preprocessing):
    """The bytes and the arithmetic are the same."""
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 12, 3), np.uint8)
    samples = preprocessing.each(images)
    stacked = preprocessing.stack(samples)

    assert stacked.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        preprocessing.scale(stacked),
        preprocessing.join(samples, "cpu", torch.float32),
        rtol=1e-6,
        atol=1e-6,
    )


def test_a_graph_is_one_of_its_preprocessing(tmp_path):
    """Which its folder may change while the network stays as it is, and stays loaded."""
    folder = make_vision_folder(tmp_path / "dinov2", "DINOv2")
    how = {"device": "cpu", "cache": None, "batch_size": 3}
    X = np.random.default_rng(0).integers(0, 256, (10, 40, 50, 3), np.uint8)
    PretrainedImageFeaturizer(str(folder), **how, engine="openvino").fit_transform(X)
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["image_mean"] = [0.1, 0.2, 0.9]
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    ours = PretrainedImageFeaturizer(str(folder), **how, engine="openvino")
    rows = ours.fit_transform(X)

    assert ours.engine_ == "openvino"
    assert (
        relative_error(rows, PretrainedImageFeaturizer(str(folder), **how).fit_transform(X)) < 1e-5
    )


def test_what_is_no_bytes_is_scaled_before_the_graph():
    """Pixels that were resized without rounding have no other form."""
    steps = ProcessorSteps(8, 8, **_LINE, shape=(8, 8), as_floats=True)
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 12, 3), np.uint8)

    assert steps.stack(steps.each(images)) is None


def test_a_batch_of_another_type_than_the_graph_was_made_for_is_run_by_torch(monkeypatch, patches):
    """OpenVINO would take floats for bytes, each of them 0 or 1, and say nothing."""
    ours = PretrainedImageFeaturizer(weights=None, engine="openvino", cache=None).fit(patches)
    ours.transform(patches[:2])
    ours.transform(patches[:3])
    assert ours.engine_ == "openvino"
    expected = ours.set_params(engine="torch").transform(patches[3:5])
    prepared = ImagePreprocessing.one
    monkeypatch.setattr(ImagePreprocessing, "one", lambda *given: prepared(*given).float())

    with pytest.warns(RuntimeWarning, match=r"it takes torch.uint8, and was given torch.float32"):
        found = ours.set_params(engine="openvino").transform(patches[3:5])
    assert relative_error(found, expected) < 1e-5


def test_nothing_behind_the_deepest_layer_is_compiled(monkeypatch, patches):
    """Half the network costs half the time."""
    sizes = []
    whole = _graph._compiled

    def counting(*given):
        compiled = whole(*given)
        sizes.append(len(compiled.get_runtime_model().get_ops()))
        return compiled

    monkeypatch.setattr(_graph, "_compiled", counting)
    fewest = []
    for layer in ("stem", "output"):
        sizes.clear()
        convnet(layer=layer, keep_layers=None, engine="openvino").fit_transform(patches)
        fewest.append(min(sizes))  # a graph is compiled for each number of threads

    assert fewest[0] < fewest[1]


def test_threads_are_bound_to_no_core(monkeypatch, patches):
    """Two processes of one thread would both be bound to the first core."""
    compiled = []
    whole = _graph._compiled
    monkeypatch.setattr(
        _graph, "_compiled", lambda *given: compiled.append(whole(*given)) or compiled[-1]
    )
    convnet(layer="body", engine="openvino").fit_transform(patches)

    assert {one.get_property("ENABLE_CPU_PINNING") for one in compiled} == {False}


def test_rows_that_differ_are_not_used(monkeypatch, patches):
    """The first batches are computed by both, and the user is told once."""
    expected = convnet(layer="body").fit_transform(patches)
    whole = _graph.Graph.rows
    monkeypatch.setattr(_graph.Graph, "rows", lambda *given: whole(*given) * np.float32(1.0001))
    ours = convnet(layer="body", engine="openvino").fit(patches)

    with pytest.warns(RuntimeWarning, match=r"not used for module/make_convnet: its rows differ"):
        rows = ours.transform(patches)
    again = ours.transform(patches)

    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(rows, again)
    assert ours.engine_ == "torch"


def test_a_network_that_cannot_be_converted_is_run_by_torch(patches):
    """Whatever the reason."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return (
                self.linear(torch.linalg.eigvalsh(x @ x.transpose(1, 2)))
                + torch.special.i1(x).sum()
            )

    X = np.random.default_rng(0).normal(size=(8, 3, 3)).astype(np.float32)
    ours = ModuleFeaturizer(Odd, layer="linear", cache=None, engine="openvino").fit(X)
    with pytest.warns(RuntimeWarning, match="Rows are computed by torch"):
        rows = ours.transform(X)
    assert np.isfinite(rows).all()


class Early(nn.Module):
    """Leaves early where a value is large."""

    def __init__(self):
        super().__init__()
        self.first, self.early, self.late = nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        hidden = self.first(x)
        return self.early(hidden) if x.max() > 2 else self.late(hidden)


def test_a_network_that_goes_another_way_for_other_items_is_run_by_torch():
    """A graph has the way alone that the first items took."""
    X = np.random.default_rng(0).uniform(-1, 1, (32, 4)).astype(np.float32)
    large = X + np.float32(5)
    how = {"layer": "output", "batch_size": 8, "cache": None}
    network = Early()
    expected = ModuleFeaturizer(network, **how).fit(X).transform(large)
    ours = ModuleFeaturizer(network, **how, engine="openvino").fit(X)

    with pytest.warns(RuntimeWarning, match="what it computes depends on values"):
        ours.transform(X)

    assert ours.engine_ == "torch"
    np.testing.assert_array_equal(ours.transform(large), expected)


def test_texts_are_computed_by_torch(tmp_path):
    """A graph may hold for the lengths alone that it was traced over, and the user is told."""
    folder, texts = str(make_folder(tmp_path / "bert", "BERT")), ["a cat", "a dog and a cat", "the"]
    expected = PretrainedTextFeaturizer(folder, cache=None).fit_transform(texts)
    release()
    ours = PretrainedTextFeaturizer(folder, cache=None, engine="openvino").fit(texts)
    with pytest.warns(RuntimeWarning, match="items of one shape alone, and texts have many"):
        rows = ours.transform(texts)

    np.testing.assert_array_equal(rows, expected)
    assert ours.engine_ == "torch"


@pytest.mark.filterwarnings("ignore:engine='openvino' is not used")
@pytest.mark.parametrize("holds", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_graph_that_holds_for_the_traced_number_of_items_alone_is_not_used(monkeypatch, n, holds):
    """It is proved by a batch of another number, whatever the size of batches."""
    made, right = _graph.Graph.__init__, _graph.Graph.rows

    def noting(self, backbone, outputs, batch, **how):
        self.traced = len(batch)
        made(self, backbone, outputs, batch, **how)

    def rows(self, batch, outputs):
        return right(self, batch, outputs) * (holds or len(batch) == self.traced)

    monkeypatch.setattr(_graph.Graph, "__init__", noting)
    monkeypatch.setattr(_graph.Graph, "rows", rows)
    X = np.random.default_rng(0).normal(size=(4 * n, 9)).astype(np.float32)
    network = nn.Linear(9, 3)
    expected = ModuleFeaturizer(network, cache=None, batch_size=n).fit_transform(X)
    ours = ModuleFeaturizer(network, cache=None, batch_size=n, engine="openvino").fit(X)

    for _ in range(2):
        assert relative_error(ours.transform(X), expected) < 1e-5
    assert ours.engine_ == ("openvino" if holds else "torch")


@pytest.mark.parametrize(("faster", "engine"), [(True, "openvino"), (False, "torch")])
def test_auto_takes_the_faster_one(monkeypatch, patches, faster, engine):
    """Once enough items have come for a race to pay; before, torch computes."""
    monkeypatch.setattr(_runner, "_ENOUGH", 30)
    times = iter([1.0, 2.0] if faster else [1.0, 1.0])
    monkeypatch.setattr(_runner, "_seconds", lambda _work: next(times))
    ours = convnet(layer="body", engine="auto").fit(patches)
    expected = ours.transform(patches)
    assert ours.engine_ == "torch"

    ours.transform(patches)
    rows = ours.transform(patches)

    assert ours.engine_ == engine
    assert relative_error(rows, expected) < 1e-5


def test_a_cache_serves_the_rows_of_either(patches):
    """What computes is no part of a recipe."""
    memory_cache().clear()
    ours = convnet(layer="body", cache="memory", engine="openvino").fit(patches)
    rows = ours.transform(patches)
    other = convnet(layer="body", cache="memory").fit(patches)

    np.testing.assert_array_equal(other.transform(patches), rows)
    assert other.counts_.computed == 0


def test_progress_says_what_computed(patches, capsys):
    """Beside the bar, where it is to be chosen."""
    ours = convnet(layer="body", engine="openvino", verbose=True).fit(patches)
    ours.transform(patches)
    ours.transform(patches)
    assert "computed by openvino" in capsys.readouterr().err


def test_what_does_not_fit_together_is_refused_at_fit(patches):
    """OpenVINO would compute bfloat16 otherwise than torch does."""
    with pytest.raises(ValueError, match="computes on a CPU in float32"):
        convnet(dtype="bfloat16", engine="openvino").fit(patches)


def test_the_extra_is_named_where_it_is_missing(monkeypatch, patches):
    """By the parameter that needs it; "auto" goes without."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"sklearn-pretrained\[openvino\]"):
        convnet(engine="openvino").fit(patches)


def child(ours, X, queue):
    queue.put(ours.transform(X))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_child_computes(patches):
    """It has none of the threads of OpenVINO, and leaves them alone."""
    ours = convnet(layer="body", engine="openvino").fit(patches)
    expected = ours.transform(patches)
    assert ours.engine_ == "openvino"
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(ours, patches, queue))
    process.start()
    rows = queue.get(timeout=60)
    process.join()

    assert relative_error(rows, expected) < 1e-5


def test_the_callers_inference_mode_does_not_keep_it_from_computing(patches):
    """Its graph is made outside of it."""
    ours = convnet(layer="body", engine="openvino").fit(patches)
    with torch.inference_mode():
        ours.transform(patches * 2)

    assert ours.engine_ == "openvino"
