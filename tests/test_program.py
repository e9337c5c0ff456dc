"""Programs of torch.export as networks: their layers, their files, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, list_layers
from sklearn_pretrained.backbones._weights import EMBEDDED, read
from sklearn_pretrained.backbones.own._program_file import _only_calculates, open_program
from sklearn_pretrained.backbones.torchvision._networks import SHIPPED
from sklearn_pretrained.exceptions import WeightsError
from tests.conftest import make_convnet, make_mlp, relative_error, to_tensor

ANY = torch.export.Dim.DYNAMIC
PRESET = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()


def export(network, shape=(3, 32, 32), *, batch=2, dynamic=None):
    sizes = ({0: ANY} if dynamic is None else dynamic,)
    return torch.export.export(network, (torch.zeros(batch, *shape),), dynamic_shapes=sizes)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return make_convnet().eval()


@pytest.fixture
def path(network, tmp_path):
    torch.export.save(export(network), tmp_path / "tiny.pt2")
    return str(tmp_path / "tiny.pt2")


def featurizer(model, **parameters):
    own = {"preprocessing": to_tensor, "device": "cpu", "cache": None, **parameters}
    return PretrainedImageFeaturizer(model, **own)


@pytest.mark.parametrize("layer", ["penultimate", "output", "stem", "body.0", -1, ["stem", "body"]])
def test_a_program_has_the_layers_of_the_network_it_was_made_from(network, path, patches, layer):
    """By their names, with the same rows, whatever number of images comes."""
    ours = featurizer(path, layer=layer).fit(patches)
    same = featurizer(network, layer=layer).fit(patches)

    assert ours.layer_ == same.layer_
    assert relative_error(ours.transform(patches), same.transform(patches)) < 1e-5
    assert relative_error(ours.transform(patches[:1]), same.transform(patches[:1])) < 1e-5


@pytest.mark.slow
def test_a_real_network_gives_the_same_features_exported(pictures, tmp_path):
    """MobileNetV2 with the shipped weights, and the preprocessing of those weights."""
    network = mobilenet_v2()
    network.load_state_dict(read(EMBEDDED / SHIPPED["mobilenet_v2"][1]))
    torch.export.save(export(network.eval(), (3, 224, 224)), tmp_path / "mobilenet.pt2")
    layers = ["features.6", "penultimate"]
    ours = featurizer(
        str(tmp_path / "mobilenet.pt2"), preprocessing=PRESET, layer=layers
    ).fit_transform(pictures)
    named = PretrainedImageFeaturizer(layer=layers, resize="exact", cache=None)

    assert relative_error(ours, named.fit_transform(pictures)) < 1e-5


def test_the_table_of_layers_is_that_of_the_network(network, path):
    """Widths, shapes and costs included."""
    ours, same = (str(list_layers(model, preprocessing=to_tensor)) for model in (path, network))

    assert ours.splitlines()[1:] == same.splitlines()[1:]


def test_a_program_may_read_images_of_several_sizes(network, tmp_path, patches):
    """Then no axis needs to be guessed, and those of the preprocessing are read."""
    program = export(network, dynamic={0: ANY, 2: ANY, 3: ANY})
    ours = featurizer(program, layer="body", pooling="max").fit_transform(patches)

    expected = featurizer(network, layer="body", pooling="max").fit_transform(patches)
    assert relative_error(ours, expected) < 1e-5


def test_a_pickle_holds_the_path_and_pins_the_file(network, path, patches):
    """Another program at the same path is refused."""
    ours = featurizer(path).fit(patches)
    copy = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(copy.transform(patches), ours.transform(patches))
    torch.manual_seed(1)
    torch.export.save(export(make_convnet().eval()), path)

    with pytest.raises(WeightsError, match="not those that this estimator was fitted with"):
        copy.transform(patches)


def test_a_program_in_memory_is_shared_by_clones_and_noticed_when_it_changes(patches):
    """As a module is."""
    program = export(make_convnet().eval())
    ours = featurizer(program).fit(patches)
    rows = ours.transform(patches)

    assert clone(ours).model is program
    assert rows.shape == (24, 16)
    with torch.no_grad():
        program.state_dict["body.0.weight"].add_(1)
    with pytest.raises(WeightsError, match="not those that this estimator was fitted with"):
        ours.transform(patches)


def test_programs_over_numbers_are_read_too(tmp_path):
    """Without preprocessing a program reads rows."""
    network = make_mlp().eval()
    torch.export.save(export(network, (8,)), tmp_path / "mlp.pt2")
    X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    ours = ModuleFeaturizer(str(tmp_path / "mlp.pt2"), layer="output").fit_transform(X)
    with torch.no_grad():
        expected = network(torch.from_numpy(X)).numpy()

    assert relative_error(ours, expected) < 1e-5


class Attending(nn.Module):
    """Attends with dropout that is always on."""

    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: export(make_mlp().train(), (8,)), "training mode"),
        (lambda: export(Attending(), (4, 8)), "training mode .*dropout_p=0.1"),
        (lambda: export(make_mlp().eval(), (8,), batch=3, dynamic={}), "exactly 3. Export it for"),
        (lambda: export(nn.Linear(8, 2), (5, 8)), r"shape \(5, 8\), and \(8,\) is what"),
        (
            lambda: torch.export.export(
                nn.Bilinear(8, 8, 1), (torch.zeros(2, 8), torch.zeros(2, 8)),
                dynamic_shapes=({0: ANY}, {0: ANY}),
            ),
            "reads 2 inputs",
        ),
    ],
)  # fmt: skip
def test_programs_that_give_no_rows_are_refused_at_fit(make, told):
    """With what to do instead."""
    with pytest.raises(ValueError, match=told):
        ModuleFeaturizer(make()).fit(np.zeros((4, 8), np.float32))


def test_weights_beside_a_program_are_refused(path, patches):
    """It has its own."""
    with pytest.raises(ValueError, match="an exported program comes with its weights"):
        featurizer(path, weights="other.safetensors").fit(patches)


def test_a_missing_or_damaged_file_is_named(path, patches, tmp_path):
    """A file cut short, and one that is something else."""
    whole = (tmp_path / "tiny.pt2").read_bytes()
    (tmp_path / "short.pt2").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pt2").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as other:
        other.writestr("tiny/archive_version", "0")
    for name, told in [
        ("gone.pt2", "no weights file at"),
        ("short.pt2", "cut short"),
        ("empty.pt2", "cut short"),
        ("other.pt2", "no exported program as torch.export.save writes it"),
    ]:
        with pytest.raises(WeightsError, match=told):
            featurizer(str(tmp_path / name)).fit(patches)


# -- files that would run code


class Bomb:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


def rewritten(path, target, change):
    """Write a program's file anew, with some parts changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            part = name.partition("/")[2]
            new.writestr(name, change(part, old.read(name)))
        for part, content in change(None, None):
            new.writestr(f"tiny/{part}", content)
    return target


def in_json(part, edit):
    def change(name, content):
        if name is None:
            return []
        if name != part:
            return content
        parsed = json.loads(content)
        edit(parsed)
        return json.dumps(parsed)

    return change


def call_the_shell(graph):
    node = graph["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.serialization.os.system"


def a_size_that_runs(graph):
    sizes = graph["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
    sizes[0]["as_expr"]["expr_str"] = "__import__('os').mkdir(__import__('os').environ['BOMB'])"


def a_pickled_weight(config):
    config["config"]["head.bias"]["use_pickle"] = True


def a_spec_that_imports(graph):
    call = graph["graph_module"]["module_call_graph"][0]["signature"]
    call["in_spec"] = call["in_spec"].replace("builtins.tuple", "default_factory_module")


def with_a_pickled_sample(name, content):
    if name is None:
        return []
    return pickle.dumps(Bomb()) if name == "data/sample_inputs/model.pt" else content


def with_one_more(part):
    return lambda name, content: [(part, b"")] if name is None else content


GRAPH, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (in_json(GRAPH, call_the_shell), "calls 'torch.serialization.os.system'"),
        (in_json(GRAPH, a_size_that_runs), "has a size .*__import__"),
        (in_json(GRAPH, a_spec_that_imports), "import modules"),
        (in_json(WEIGHTS, a_pickled_weight), "stores 'head.bias' as a pickle"),
        (with_a_pickled_sample, "sample inputs as a pickle"),
        (with_one_more("data/weights/model.pt"), "holds 'data/weights/model.pt'"),
        (with_one_more("data/aotinductor/model/run.so"), "holds 'data/aotinductor/model/run.so'"),
        (with_one_more("data/constants/opaque_obj_0"), "holds 'data/constants/opaque_obj_0'"),
    ],
)
def test_a_file_that_could_run_code_is_not_opened(path, tmp_path, change, told, monkeypatch):
    """torch.export.load would unpickle it, or evaluate what it says."""
    monkeypatch.setenv("BOMB", str(tmp_path / "went off"))
    hostile = rewritten(path, tmp_path / "hostile.pt2", change)

    with pytest.raises(WeightsError, match=f"(?s){told}.*load it yourself"):
        open_program(hostile)
    assert not (tmp_path / "went off").exists()


def test_a_file_that_was_only_rewritten_opens(path, tmp_path):
    """It is what was changed that is refused."""
    same = rewritten(path, tmp_path / "same.pt2", in_json(GRAPH, lambda graph: None))

    with zipfile.ZipFile(same) as archive:
        assert GRAPH in {name.partition("/")[2] for name in archive.namelist()}
    from sklearn_pretrained.backbones.own._program_file import _archive, _check

    with _archive(same) as archive:
        _check(archive, same)


@pytest.mark.parametrize(
    ("expression", "calculates"),
    [
        ("Symbol('s77', positive=True, integer=True)", True),
        ("FloorDiv(Add(Symbol('s0', integer=True), Integer(-1)), Integer(2))", True),
        ("2*s0 + 3.5", True),
        ("eval(chr(49))", False),
        ("open('x')", False),
        ("Symbol('s0').__class__", False),
        ("Symbol('s0', f('x'))", False),
        ("S('print(1)')", False),
        ("Symbol('a b')", False),
        ("(lambda: 1)()", False),
        ("().a", False),
    ],
)
def test_sizes_only_calculate(expression, calculates):
    """Sums, products and functions of symbols, and nothing that reaches further."""
    assert _only_calculates(expression) == calculates
