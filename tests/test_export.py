"""Pipelines as ONNX files: the same answers, proven first, without torch or scikit-learn."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    export_onnx,
    export_program,
)
from sklearn_pretrained.exceptions import (
    BadItemError,
    ExportError,
    FormatError,
    MissingExtraError,
    TruncationWarning,
)
from sklearn_pretrained.exported import load
from sklearn_pretrained.exported._resize import prepare

from . import tower_zoo
from .conftest import TinyConvNet, make_convnet, make_mlp, relative_error, to_tensor
from .text_zoo import make_folder

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")

TEXTS = [
    "A fine day.",
    "The film was dull, and far too long for what it had to say",
    "good",
    "Nothing works, and nobody answers. " * 3,
    "“Quoted”, 中文 and [SEP]",
    "I would buy it again",
]
MOODS = ["good", "bad", "good", "bad", "good", "good"]


def same(file, pipeline, X, *methods):
    """Say whether a file's methods give what the pipeline's give."""
    for method in methods:
        got, expected = getattr(file, method)(X), getattr(pipeline, method)(X)
        assert got.shape == expected.shape
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)
        else:
            assert got.tolist() == expected.tolist()


@pytest.fixture(scope="module")
def photos(patches, tmp_path_factory):
    """A pipeline over pictures, its file, and what the file says."""
    names = [("palace", "flower")[i // 12] for i in range(24)]
    pipeline = make_pipeline(
        PretrainedImageFeaturizer("timm/test_efficientnet", weights=None, layer=0.5),
        StandardScaler(),
        PCA(8),
        LogisticRegression(),
    ).fit(patches, names)
    path = tmp_path_factory.mktemp("export") / "photos.onnx"
    return pipeline, path, export_onnx(pipeline, path, examples=patches[::2])


@pytest.fixture(scope="module")
def moods(tmp_path_factory):
    """The same over texts."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("export")
    encoder = PretrainedTextFeaturizer(str(make_folder(folder / "bert", "BERT")), max_length=32)
    pipeline = make_pipeline(encoder, LogisticRegression())
    pipeline.fit(TEXTS, MOODS)
    path = folder / "moods.onnx"
    with pytest.warns(TruncationWarning):
        return pipeline, path, export_onnx(pipeline, path, examples=[*TEXTS, "word " * 50])


def numbers(n=60):
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n, 8)).astype(np.float32)
    return X, X @ generator.normal(size=(8, 3))


def test_pictures_of_any_form_get_the_pipelines_answers(photos, patches, pictures):
    """Arrays, grey and large ones, files' bytes and PIL images, prepared without torch."""
    from io import BytesIO

    from PIL import Image

    pipeline, path, _ = photos
    buffer = BytesIO()
    Image.fromarray(pictures[0]).save(buffer, "JPEG")
    X = [patches[3], pictures[1], pictures[0][..., 0], buffer.getvalue(), Image.new("P", (50, 300))]
    file = load(path)

    same(file, pipeline, X, "predict", "predict_proba")
    assert relative_error(file.transform(X), pipeline[:-1].transform(X)) < 1e-4
    assert file.classes_.tolist() == pipeline.classes_.tolist()


def test_a_file_says_what_it_is(photos):
    """Input, steps, provenance, and how far each step moved."""
    pipeline, path, told = photos
    facts = load(path).facts_

    assert facts == json.loads(json.dumps(told))
    assert facts["provenance"]["weights"]["sha256"] == pipeline[0].weights_digest_
    assert facts["steps"] == [type(step).__name__ for _, step in pipeline.steps]
    assert [entry["step"] for entry in facts["report"]] == [
        "preparation",
        "network",
        "standardscaler",
        "pca",
        "logisticregression",
        "logisticregression",
    ]
    assert "which stay under the licence of those who published them" in facts["licence"]
    assert facts["report"][0]["largest"] <= 1
    assert all(entry["largest"] <= entry["allowed"] for entry in facts["report"])


def test_one_opset_of_each_domain_serves_network_and_steps(photos):
    """And onnx finds the whole graph in order."""
    import onnx

    model = onnx.load(photos[1])
    domains = [entry.domain for entry in model.opset_import]

    assert len(domains) == len(set(domains))
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("how", [{"batch_size": 1}, {"batch_size": 3, "threads": 1}])
def test_batches_and_threads_are_a_choice_that_moves_nothing(how, photos, patches):
    """Of any size and number."""
    pipeline, path, _ = photos

    same(load(path, **how), pipeline, patches, "predict", "predict_proba")


def test_texts_get_the_pipelines_answers(moods):
    """Short and cut ones, pairs, in one batch; the tokenizer travels in the file."""
    pipeline, path, _ = moods
    X = ["Lovely", *TEXTS[::-1], ("a question", "an answer")]
    file = load(path)

    same(file, pipeline, X, "predict", "predict_proba")
    with pytest.warns(TruncationWarning, match="1 of 1 texts"):
        file.predict(["word " * 50])


def test_a_process_that_runs_files_imports_neither_torch_nor_scikit_learn(photos, moods, tmp_path):
    """And gives the same."""
    pictures = np.random.default_rng(0).integers(0, 256, (3, 90, 120, 3), np.uint8)
    np.save(tmp_path / "pictures.npy", pictures)
    program = f"""
import json, sys
import numpy as np
from sklearn_pretrained.exported import load
photos = load({str(photos[1])!r}).predict_proba(np.load({str(tmp_path / "pictures.npy")!r}))
moods = load({str(moods[1])!r}).predict_proba({TEXTS!r})
heavy = {{"torch", "torchvision", "sklearn", "scipy", "transformers", "joblib", "onnx"}}
heavy |= {{"blake3", "safetensors", "xxhash"}}
print(json.dumps([photos.tolist(), moods.tolist(), sorted(heavy & set(sys.modules))]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    first, second, heavy = json.loads(done.stdout)

    assert heavy == []
    np.testing.assert_allclose(first, photos[0].predict_proba(pictures), atol=1e-3)
    np.testing.assert_allclose(second, moods[0].predict_proba(TEXTS), atol=1e-3)


def test_a_featurizer_alone_is_exported_up_to_its_layer(tmp_path):
    """What lies behind the layer is not in the file."""
    X, _ = numbers()
    sizes = {}
    for layer in (0, "output"):
        featurizer = ModuleFeaturizer(make_mlp(), layer=layer).fit(X)
        path = tmp_path / f"{layer}.onnx"
        export_onnx(featurizer, path, examples=X[:5])
        sizes[layer] = len(path.read_bytes()) - len(json.dumps(load(path).facts_))

        assert relative_error(load(path).transform(X), featurizer.transform(X)) < 1e-5
    assert sizes[0] < sizes["output"]


def test_only_weights_below_the_layer_are_in_the_file(tmp_path):
    """The forward ends at the layer that is read."""
    import onnx

    X, _ = numbers()
    counts = []
    for layer in (0, "output"):
        export_onnx(
            ModuleFeaturizer(make_mlp(), layer=layer).fit(X), tmp_path / "o.onnx", examples=X[:5]
        )
        held = onnx.load(tmp_path / "o.onnx").graph.initializer
        counts.append(sum(np.prod(one.dims) for one in held if one.data_type == 1))

    assert counts[0] == 8 * 16 + 16
    assert counts[1] > counts[0]


class Windows(torch.nn.Module):
    """Attention over rows, and over windows beside the heads, with one activation for both."""

    def __init__(self):
        super().__init__()
        self.act = torch.nn.ReLU()
        self.first = torch.nn.Sequential(torch.nn.Linear(24, 48), self.act)
        self.bias = torch.nn.Parameter(torch.randn(1, 1, 2, 3, 3))
        self.last = torch.nn.Linear(48, 5)

    def forward(self, x):
        """Attend over three axes, and over five with a mask."""
        attend = torch.nn.functional.scaled_dot_product_attention
        x = self.first(x).view(-1, 12, 4)
        x = attend(x, x, x)
        x = x.reshape(-1, 2, 2, 3, 4)
        x = attend(x, x, x, self.bias)
        return self.last(self.act(x.flatten(1)))


@pytest.mark.parametrize("export", [export_onnx, export_program])
def test_attention_over_any_axes_and_a_module_of_two_names_are_exported(export, tmp_path):
    """The rows of the file are the network's, which is checked before it is written."""
    torch.manual_seed(0)
    X = np.random.default_rng(0).normal(size=(6, 24)).astype(np.float32)
    featurizer = ModuleFeaturizer(Windows(), layer="penultimate", cache=None).fit(X)
    facts = export(featurizer, tmp_path / "windows", examples=X)

    assert featurizer.transform(X).shape == (6, 48)
    assert facts["report"][-1]["largest"] < 1e-5


def test_texts_that_a_network_reads_padded_are_padded_from_a_file_too(tmp_path):
    """As SigLIP reads them: the tokenizer that travels with the file pads to the one length."""
    folder = tower_zoo.make_folder(tmp_path / "tower", "SigLIP")
    texts = [text[:12] for text in TEXTS]
    featurizer = PretrainedTextFeaturizer(str(folder), layer="projection", cache=None).fit(texts)
    export_onnx(featurizer, tmp_path / "tower.onnx", examples=texts[:3])

    rows = featurizer.transform(texts)
    assert relative_error(load(tmp_path / "tower.onnx").transform(texts), rows) < 1e-5
    assert relative_error(rows[:1], rows[1:2]) > 1e-3


def test_weights_that_one_file_cannot_hold_lie_beside_it(monkeypatch, tmp_path):
    """In a second file, which goes where the first one goes."""
    monkeypatch.setattr("sklearn_pretrained.export._beside._MOST_BYTES", 1000)
    X, scores = numbers()
    network = ModuleFeaturizer(torch.nn.Linear(8, 400), layer="output")
    pipeline = make_pipeline(network, Ridge()).fit(X, scores)
    export_onnx(pipeline, tmp_path / "large.onnx", examples=X[:9])

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["large.onnx", "large.onnx.data"]
    assert (tmp_path / "large.onnx.data").stat().st_size >= 8 * 400 * 4
    (tmp_path / "moved").mkdir()
    for name in names:
        (tmp_path / name).rename(tmp_path / "moved" / name)
    same(load(tmp_path / "moved" / "large.onnx"), pipeline, X, "predict")


def test_own_preprocessing_stays_with_the_user(pictures, tmp_path):
    """The file then reads what it gives, and says in which shape."""
    featurizer = PretrainedImageFeaturizer(
        make_convnet(), preprocessing=to_tensor, layer=["stem", "body"]
    )
    featurizer.fit(pictures)
    export_onnx(featurizer, tmp_path / "own.onnx", examples=pictures)
    from PIL import Image

    prepared = np.stack([to_tensor(Image.fromarray(picture)).numpy() for picture in pictures])
    file = load(tmp_path / "own.onnx")

    assert relative_error(file.transform(prepared), featurizer.transform(pictures)) < 1e-5
    with pytest.raises(ValueError, match=r"reads arrays of shape \(n, 3, 32, 32\)"):
        file.transform(pictures[:1])


def test_nothing_is_written_where_a_step_moves(tmp_path):
    """And the error names the step."""
    X, scores = numbers()
    pipeline = make_pipeline(ModuleFeaturizer(make_mlp()), StandardScaler(), Ridge()).fit(X, scores)
    scaler = pipeline[1]
    scaler.transform = lambda rows: StandardScaler.transform(scaler, rows) * 1.01

    with pytest.raises(ExportError, match=r"Step 'standardscaler' differs: .* Nothing was written"):
        export_onnx(pipeline, tmp_path / "moved.onnx", examples=X[:9])
    assert list(tmp_path.iterdir()) == []
    export_onnx(pipeline, tmp_path / "moved.onnx", examples=X[:9], tolerance=0.1)
    (tmp_path / "other").touch()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["moved.onnx", "other"]
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1  # others may read it


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda f: LogisticRegression(), "begins with one or several.*got LogisticRegression"),
        (
            lambda f: VotingClassifier([("one", make_pipeline(f, LogisticRegression()))]),
            "keeps a featurizer inside",
        ),
        (lambda f: make_pipeline(f, Odd()), r"Step 'odd' \(Odd\) cannot be converted by skl2onnx"),
        (lambda f: f.set_params(dtype="bfloat16"), "computes in bfloat16"),
    ],
)
def test_what_cannot_be_exported_says_why(make, says, tmp_path):
    """Before anything is written."""
    X, scores = numbers()
    refused = make(ModuleFeaturizer(make_mlp())).fit(X, scores[:, 0] > 0)

    with pytest.raises((TypeError, ValueError), match=says):
        export_onnx(refused, tmp_path / "refused.onnx", examples=X[:5])
    assert list(tmp_path.iterdir()) == []


class Odd(Normalizer):
    """A step of the user's, which nobody converts."""


def test_bad_items_are_named_as_the_library_names_them(photos, moods, patches):
    """By their place, and what is wrong with them."""
    for file, X in ((photos[1], [patches[0], b"no picture"]), (moods[1], ["a text", None])):
        with pytest.raises(BadItemError, match="Item 1 of X"):
            load(file).predict(X)
    with pytest.raises(BadItemError, match="lone surrogate"):
        load(moods[1]).predict(["\ud800"])


def test_methods_that_the_pipeline_does_not_have_are_missing(photos):
    """As in scikit-learn."""
    with pytest.raises(AttributeError, match="has no 'decision_function'"):
        load(photos[1]).decision_function([])


def test_other_files_are_refused(tmp_path):
    """Those that something else wrote."""
    from onnx import TensorProto, helper, save

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "other", [value], [out])
    save(
        helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]),
        tmp_path / "o.onnx",
    )

    with pytest.raises(FormatError, match="was not written by export_onnx"):
        load(tmp_path / "o.onnx")


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    """The line that installs it stands in the error."""
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sklearn-pretrained\[onnx\]'"):
        export_onnx(ModuleFeaturizer(TinyConvNet()), tmp_path / "x.onnx", examples=[])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "shape", [(427, 640), (90, 100), (31, 500), (2, 3), (600, 255), (256, 256)]
)
def test_pictures_are_prepared_to_the_bit_without_torch(shape, interpolation):
    """Larger, smaller, long and tiny ones, cropped and padded."""
    from sklearn_pretrained.backbones.images._preprocessing import ImagePreprocessing

    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for resize, crop in ((256, 224), (200, 224)):
        how = ImagePreprocessing(resize, crop, interpolation, (0.5,) * 3, (0.5,) * 3)

        np.testing.assert_array_equal(prepare(image, how.describe()), how.one(image).numpy())
