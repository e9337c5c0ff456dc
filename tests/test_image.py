"""PretrainedImageFeaturizer, as users meet it."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import threading
import traceback
import tracemalloc

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import FeatureUnion, make_pipeline
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2, resnet18
from torchvision.transforms import Compose, Resize, ToTensor

from sklearn_pretrained import PretrainedImageFeaturizer, backbones, memory_cache
from sklearn_pretrained.backbones._weights import EMBEDDED, read
from sklearn_pretrained.backbones.torchvision._networks import SHIPPED
from sklearn_pretrained.exceptions import (
    BadItemError,
    BadItemWarning,
    LayerError,
    RandomWeightsWarning,
    WeightsError,
)
from sklearn_pretrained.running import eager
from tests.conftest import make_convnet, relative_error, to_tensor

random_weights = pytest.mark.filterwarnings(
    "ignore::sklearn_pretrained.exceptions.RandomWeightsWarning"
)


@pytest.fixture(scope="module")
def official() -> torch.nn.Module:
    """Build torchvision's own MobileNetV2 with the weights that the package ships."""
    network = mobilenet_v2()
    network.load_state_dict(read(EMBEDDED / SHIPPED["mobilenet_v2"][1]))
    return network.eval()


def featurizer(**parameters):
    return PretrainedImageFeaturizer(**{"cache": None, "device": "cpu", **parameters})


# -- the numbers


def test_the_default_calls_china_a_palace(pictures):
    """The shipped weights, the preprocessing and the network together know what they see."""
    logits = featurizer(layer="output").fit_transform(pictures)
    chances = torch.softmax(torch.from_numpy(logits), 1)[0]
    names = MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"]

    assert names[int(chances.argmax())] == "palace"
    assert float(chances.max()) == pytest.approx(0.69, abs=0.01)


def test_the_exact_mode_equals_torchvision_step_by_step(pictures, official):
    """Torchvision's preset on PIL images, its network without a classifier: the same features."""
    preset = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    official.classifier = torch.nn.Identity()
    with torch.no_grad():
        expected = torch.cat([official(preset(Image.fromarray(p))[None]) for p in pictures])

    assert relative_error(featurizer(resize="exact").fit_transform(pictures), expected) < 1e-5


def test_the_exact_mode_gives_the_network_the_same_bits(pictures):
    """Resize, crop and normalisation equal torchvision's preset to the bit."""
    preset = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    backbone = backbones.find("mobilenet_v2", resize="exact")
    batch = backbone.collate(backbone.prepare(pictures), torch.device("cpu"), torch.float32)

    assert torch.equal(batch, torch.stack([preset(Image.fromarray(p)) for p in pictures]))


def test_the_fast_mode_differs_by_a_fraction_of_a_percent(pictures):
    """What the documentation says of it."""
    fast, exact = (featurizer(resize=r).fit_transform(pictures) for r in ("fast", "exact"))

    assert 0 < relative_error(fast, exact) < 0.01


def test_a_row_does_not_depend_on_the_rows_beside_it(patches):
    """Any batch size, any order: within 1e-5 of the row's norm, on full-size inputs."""
    alone = np.vstack([featurizer().fit_transform([patch]) for patch in patches])
    order = np.random.default_rng(0).permutation(len(patches))
    for batch_size in (1, 2, 7, 32, "auto"):
        together = featurizer(batch_size=batch_size).fit_transform([patches[i] for i in order])
        assert relative_error(together, alone[order]) < 1e-5


def test_the_network_is_the_same_after_any_number_of_transforms(patches):
    """Weights, buffers and batch-norm statistics hash the same before and after."""
    ours = featurizer(layer=["features.3", "penultimate"]).fit(patches)
    network = eager.load(
        ours._backbone(), torch.device("cpu"), torch.float32, ours.weights_digest_
    ).module

    def state() -> str:
        hasher = hashlib.sha256()
        for name, tensor in network.state_dict().items():
            hasher.update(name.encode() + tensor.numpy().tobytes())
        return hasher.hexdigest()

    before = state()
    for _ in range(3):
        ours.transform(patches[:5])
    assert state() == before
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_several_layers_are_each_of_them_side_by_side(pictures):
    """A list of layers is the concatenation, in the order of the list, doubles included."""
    names = ["features.13", "features.3", "features.13"]
    together = featurizer(layer=names).fit(pictures)
    single = [featurizer(layer=name).fit_transform(pictures) for name in names]

    np.testing.assert_allclose(
        together.transform(pictures), np.hstack(single), rtol=1e-5, atol=1e-6
    )
    assert together.layer_ == names
    assert together.get_feature_names_out()[-1] == "mobilenet_v2_features.13_95"


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("avg", lambda x: x.mean((2, 3))),
        ("max", lambda x: x.amax((2, 3))),
        ("gem", lambda x: x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)),
        ("flatten", lambda x: x.flatten(1)),
        ("none", lambda x: x),
    ],
)
def test_pooling_is_what_its_name_says(pictures, official, pooling, expected):
    """Against the activation itself, as torchvision's network gives it."""
    backbone = backbones.find("mobilenet_v2")
    batch = backbone.collate(backbone.prepare(pictures), torch.device("cpu"), torch.float32)
    with torch.no_grad():
        activation = official.features[:14](batch)
    got = featurizer(layer="features.13", pooling=pooling).fit_transform(pictures)

    np.testing.assert_allclose(got, expected(activation).numpy(), rtol=1e-4, atol=1e-5)


def test_real_pictures_are_told_apart_as_well_as_by_a_plain_script(official):
    """Brick, grass and gravel from disjoint regions: as torchvision + scikit-learn, by hand."""
    data = pytest.importorskip("skimage.data", reason="the test extra has scikit-image")
    train, test, y_train, y_test = [], [], [], []
    for label, texture in enumerate((data.brick(), data.grass(), data.gravel())):
        # Blurred to a quarter of the size, so that single pixels say little.
        small = np.asarray(Image.fromarray(texture).resize((256, 256), Image.Resampling.BOX))
        patches = [
            small[i : i + 32, j : j + 32] for i in range(0, 256, 32) for j in range(0, 256, 32)
        ]
        train += patches[:24]
        test += patches[32:]
        y_train += [label] * 24
        y_test += [label] * 32

    ours = make_pipeline(featurizer(), LogisticRegression(max_iter=500)).fit(train, y_train)
    preset = MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    official.classifier = torch.nn.Identity()

    def by_hand(patches):
        images = [Image.fromarray(patch).convert("RGB") for patch in patches]
        with torch.no_grad():
            return official(torch.stack([preset(image) for image in images])).numpy()

    plain = LogisticRegression(max_iter=500).fit(by_hand(train), y_train)
    pixels = LogisticRegression(max_iter=500).fit(np.stack(train).reshape(72, -1) / 255, y_train)
    score = ours.score(test, y_test)

    assert score >= plain.score(by_hand(test), y_test) - 0.005
    assert score > pixels.score(np.stack(test).reshape(96, -1) / 255, y_test) + 0.2


# -- scikit-learn


def test_a_search_over_layers_poolings_and_networks_drops_in(patches):
    """GridSearchCV sets what it likes, and every candidate is a different featurizer."""
    y = [0] * 12 + [1] * 12
    pipeline = make_pipeline(featurizer(cache="memory"), LogisticRegression())
    name = "pretrainedimagefeaturizer"
    grid = [
        {f"{name}__layer": ["features.1", 3, 0.5, -1], f"{name}__pooling": ["avg", "max"]},
        {f"{name}__model": ["mobilenet_v2"], f"{name}__image_size": [64]},
    ]
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(patches, y)

    assert search.best_score_ == 1.0
    assert len(search.cv_results_["params"]) == 9


def test_set_params_takes_effect(pictures):
    """A parameter that is set after a fit decides the next one."""
    ours = featurizer().fit(pictures)
    ours.set_params(layer="features.3", pooling="max").fit(pictures)

    assert ours.transform(pictures).shape == (2, 24)
    assert (ours.layer_, ours.pooling_) == ("features.3", "max")


def test_a_parameter_set_after_fit_is_refused_until_the_next_fit(pictures):
    """Of those that decide rows; where and how they are computed may change."""
    ours = featurizer(layer="features.3").fit(pictures)
    before = ours.transform(pictures)
    ours.set_params(batch_size=1, cache="memory", on_error="nan")
    np.testing.assert_allclose(ours.transform(pictures), before, rtol=1e-4, atol=1e-6)
    for change in ({"layer": "features.2"}, {"image_size": 96}, {"resize": "exact"}):
        changed = pickle.loads(pickle.dumps(ours)).set_params(**change)
        with pytest.raises(ValueError, match="was set after fit"):
            changed.transform(pictures)


def test_a_pipeline_is_saved_in_kilobytes_and_works_in_a_new_process(pictures, tmp_path):
    """Joblib keeps the recipe, not the network."""
    pipeline = make_pipeline(featurizer(layer="features.6"), LogisticRegression())
    pipeline.fit(pictures, [0, 1])
    joblib.dump(pipeline, tmp_path / "pipeline.joblib")
    np.save(tmp_path / "expected.npy", pipeline[0].transform(pictures))
    program = (
        "import joblib, numpy as np; from sklearn.datasets import load_sample_images;"
        "p = joblib.load('pipeline.joblib'); X = load_sample_images().images;"
        "expected = np.load('expected.npy');"
        "np.testing.assert_allclose(p[0].transform(X), expected, rtol=1e-4, atol=1e-5);"
        "assert p.predict(X).tolist() == [0, 1]"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=300)

    assert (tmp_path / "pipeline.joblib").stat().st_size < 20_000


def test_the_output_is_a_frame_where_one_is_asked_for(pictures):
    """Pandas keeps the index of a Series, polars the names."""
    series = pd.Series(pictures, index=["china", "flower"])
    frame = featurizer(layer="features.3").set_output(transform="pandas").fit_transform(series)
    polar = featurizer(layer="features.3").set_output(transform="polars").fit_transform(pictures)

    assert list(frame.index) == ["china", "flower"]
    assert list(frame.columns) == list(polar.columns)
    assert frame.columns[0] == "mobilenet_v2_features.3_0"
    assert isinstance(polar, pl.DataFrame)


def test_it_works_inside_column_transformers_unions_and_cross_validation(patches, tmp_path):
    """A column of paths beside a number, and two networks side by side."""
    paths = []
    for i, patch in enumerate(patches):
        Image.fromarray(patch).save(tmp_path / f"{i}.png")
        paths.append(str(tmp_path / f"{i}.png"))
    table = pd.DataFrame({"path": paths, "size": range(24)})
    y = [0] * 12 + [1] * 12
    columns = make_column_transformer(
        (featurizer(layer="features.3"), "path"), remainder="passthrough"
    )
    union = FeatureUnion([("a", featurizer(layer=1)), ("b", featurizer(layer=2))])

    assert columns.fit_transform(table).shape == (24, 25)
    assert union.fit_transform(patches).shape == (24, 40)
    assert cross_val_score(make_pipeline(union, LogisticRegression()), patches, y).mean() > 0.9


def test_digits_are_read_from_a_plain_table():
    """load_digits, with the shape and the range that its images have."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=300, test_size=200, random_state=0
    )
    ours = featurizer(image_shape=(8, 8), value_range=(0, 16), image_size=64, layer="features.13")
    pipeline = make_pipeline(ours, LogisticRegression(max_iter=500)).fit(X_train, y_train)

    assert pipeline.score(X_test, y_test) > 0.9
    assert pipeline[0].n_features_in_ == 64
    with pytest.raises(ValueError, match="X has 63 features"):
        pipeline.predict(X_test[:, 1:])


def test_representations_and_dir_load_no_network(pictures):
    """A notebook that shows an estimator costs nothing."""
    eager.unload()
    ours = featurizer().fit(pictures)
    for name in dir(ours):
        getattr(ours, name, None)
    assert "PretrainedImageFeaturizer" in repr(ours) + ours._repr_html_()
    assert "features" in str(ours.get_feature_names_out()[0]) or ours.n_features_out_ == 1280
    from sklearn_pretrained.running.eager import _registry

    assert not _registry._loaded


def test_callbacks_hear_of_every_batch(patches):
    """scikit-learn's callbacks (from 1.9) follow fit_transform batch by batch."""
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has none")

    class Count(callback.FitCallback):
        def __init__(self):
            self.tasks = []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            self.tasks.append(context.task_name)

        def teardown(self, estimator, context):
            pass

    count = Count()
    featurizer(batch_size=5).set_callbacks(count).fit_transform(patches)

    assert count.tasks == ["batch"] * 5 + ["fit_transform"]


def test_a_progress_bar_shows_rows_and_rate(patches, capsys):
    """verbose=True, and nothing without it; a line before the work says how much there is."""
    memory_cache().clear()
    featurizer().fit_transform(patches)
    assert capsys.readouterr().err == ""
    asking = featurizer(verbose=True, cache="memory")
    asking.fit_transform([*patches[:20], patches[0]])
    shown = capsys.readouterr().err
    assert "mobilenet_v2: 21 rows requested, 1 known, 20 to compute" in shown
    assert "20/20" in shown
    assert "row/s" in shown

    asking.fit_transform(patches[:20])
    assert capsys.readouterr().err == ""  # nothing was computed


# -- what can be wrong


def test_a_bad_image_is_named_by_row_and_path(pictures):
    """The message says which, what, and what to do."""
    with pytest.raises(
        BadItemError, match=r"Item 1 of X \('no\.jpg'\) does not exist.*on_error='nan'"
    ):
        featurizer().fit_transform([pictures[0], "no.jpg"])


def test_bad_images_become_rows_of_nan_and_are_listed(pictures):
    """Rows stay aligned, one warning counts them, an attribute lists them."""
    X = [b"junk", pictures[0], None, pictures[1]]
    ours = featurizer(on_error="nan", layer="features.3").fit(X)
    with pytest.warns(BadItemWarning, match="2 items of X could not be read") as seen:
        rows = ours.transform(X)

    assert len(seen) == 1
    assert np.isnan(rows).all(axis=1).tolist() == [True, False, True, False]
    np.testing.assert_allclose(rows[[1, 3]], ours.transform(pictures), rtol=1e-5, atol=1e-6)
    assert ours.bad_items_ == {}
    with pytest.warns(BadItemWarning):
        ours.transform(X)
    assert list(ours.bad_items_) == [0, 2]
    assert "Item 2 of X is missing" in ours.bad_items_[2]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"model": "resnet81"}, ValueError, "Did you mean 'resnet"),
        ({"model": 7}, ValueError, "'model' parameter"),
        ({"weights": "IMAGENET1K_V9"}, WeightsError, "IMAGENET1K_V1, IMAGENET1K_V2"),
        ({"layer": "features.99"}, LayerError, "nearest names are 'features.9"),
        ({"layer": 99}, LayerError, "19 main stages"),
        ({"pooling": "median"}, ValueError, "'pooling' parameter"),
        ({"pooling": "cls"}, LayerError, "has no class token; use pooling='avg'"),
        ({"layer": [1, 2], "pooling": "none"}, ValueError, "one layer at a time"),
        ({"device": "cuda:99"}, ValueError, "is not available"),
        ({"device": "tpu9000"}, ValueError, "is not a valid device"),
        ({"device": [None]}, ValueError, "'None' is not a valid device"),
        ({"device": ["cpu", 3]}, ValueError, "'3' is not a valid device"),
        ({"device": []}, ValueError, "at least one device"),
        ({"device": ["cpu", "cpu"]}, ValueError, "each only once"),
        ({"dtype": "float16"}, ValueError, "hundreds of times slower"),
        ({"model": "vit_b_16", "image_size": 100}, ValueError, "only images of 224×224"),
        ({"preprocessing": to_tensor}, ValueError, "network of your own"),
        ({"model": make_convnet}, ValueError, "needs preprocessing"),
    ],
)
def test_a_wrong_parameter_is_refused_at_fit(pictures, parameters, error, message):
    """Nothing is loaded before it is known to make sense."""
    with pytest.raises(error, match=message):
        featurizer(**parameters).fit(pictures)


def test_missing_weights_say_where_they_were_looked_for(pictures, monkeypatch, tmp_path):
    """Without a network connection: the path, the address, and what needs neither."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = r"resnet18-f37072fd\.pth.*They were expected at .*weights.*model='mobilenet_v2'"

    with pytest.raises(WeightsError, match=message):
        featurizer(model="resnet18").fit(pictures)


def test_a_failed_download_says_the_same(pictures, monkeypatch, tmp_path):
    """The network's own error is part of the message."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def fail(*_args, **_kwargs):
        raise OSError("name resolution")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(WeightsError, match="download failed: name resolution"):
        featurizer(model="resnet18").fit(pictures)


def test_torchvisions_own_folder_is_honoured_and_checked(pictures, monkeypatch, tmp_path):
    """A file with the right name and the wrong content is refused."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(resnet18().state_dict(), folder / "resnet18-f37072fd.pth")

    with pytest.raises(WeightsError, match="damaged or not the expected one"):
        featurizer(model="resnet18").fit(pictures)


def test_other_weights_than_the_pinned_ones_are_refused(pictures, tmp_path):
    """The head behind the featurizer learned from the old ones."""
    path = tmp_path / "resnet18.pth"
    torch.save(resnet18().state_dict(), path)
    ours = featurizer(model="resnet18", weights=path).fit(pictures)
    before = ours.transform(pictures)
    torch.save(resnet18().state_dict(), path)

    with pytest.raises(WeightsError, match=rf"{ours.weights_digest_} was pinned.*was found"):
        ours.transform(pictures)
    assert relative_error(ours.fit_transform(pictures), before) > 1e-3


@pytest.mark.parametrize(
    "name", ["densenet121", "mnasnet0_5", "inception_v3", "googlenet", "swin_t"]
)
def test_a_local_file_of_weights_is_read_in_both_formats(name, pictures, tmp_path):
    """A state dict as torch.save or safetensors, for networks with a history of formats."""
    from safetensors.torch import save_file
    from torchvision.models import get_model

    extra = {"init_weights": False} if name in {"inception_v3", "googlenet"} else {}
    state = get_model(name, weights=None, **extra).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    save_file(state, tmp_path / "weights.safetensors")
    rows = [
        featurizer(model=name, weights=tmp_path / file).fit_transform(pictures)
        for file in ("weights.pth", "weights.safetensors")
    ]

    np.testing.assert_array_equal(rows[0], rows[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"junk", "could not be read as a file of weights only"),
        (pickle.dumps({"a": print}), "could not be read as a file of weights only"),
        ("network", "it holds torch.nn.modules.linear.Linear, which is not a tensor and could run"),
        ("list", "does not contain a state dict"),
        ("other", "do not fit the network"),
    ],
)
def test_a_file_that_holds_no_weights_is_refused(pictures, tmp_path, content, message):
    """No code in it is run, and nobody is told how to run it, which torch itself does."""
    path = tmp_path / "weights.pth"
    if content == "network":
        torch.save(torch.nn.Linear(2, 2), path)
    elif content == "list":
        torch.save([torch.zeros(1)], path)
    elif content == "other":
        torch.save({"a": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)

    with pytest.raises(WeightsError, match=message) as caught:
        featurizer(model="resnet18", weights=path).fit_transform(pictures)
    assert "weights_only" not in "".join(traceback.format_exception(caught.value))


def test_random_weights_warn_and_are_the_same_everywhere(pictures):
    """weights=None is for tests; a seed decides, so that a pickle still opens elsewhere."""
    with pytest.warns(RandomWeightsWarning, match="are meaningless"):
        one = featurizer(model="resnet18", weights=None).fit(pictures)
    first = one.transform(pictures)
    eager.unload()
    two = pickle.loads(pickle.dumps(one))

    np.testing.assert_allclose(two.transform(pictures), first, rtol=1e-5)


def test_running_out_of_memory_halves_the_batch_and_tells_once(patches, monkeypatch):
    """The size that fitted is remembered, and no row is lost."""
    from sklearn_pretrained.running import _engine

    eager.unload()
    expected = featurizer(layer="features.3").fit_transform(patches)
    whole = _engine.forward
    sizes = []

    def small_memory(runner, reading, samples):
        sizes.append(len(samples))
        if len(samples) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(runner, reading, samples)

    monkeypatch.setattr(_engine, "forward", small_memory)
    ours = featurizer(layer="features.3", batch_size=24).fit(patches)
    with pytest.warns(RuntimeWarning, match="smaller batches are used") as seen:
        rows = ours.transform(patches)
    assert len(seen) == 1
    assert max(sizes[3:]) <= 6
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)
    eager.unload()


def test_several_devices_take_batches_in_turn(patches, monkeypatch):
    """Each has a network of its own; the rows are those of one device, in their order."""
    from sklearn_pretrained.running import _engine

    whole, seen = _engine.forward, []

    def watched(runner, reading, samples):
        seen.append((str(runner.device), id(runner.past)))
        return whole(runner, reading, samples)

    alone = featurizer(layer=2).fit_transform(patches)
    monkeypatch.setattr(_engine, "forward", watched)
    both = featurizer(layer=2, device=["cpu", "cpu:0"]).fit_transform(patches)

    assert [device for device, _ in seen] == ["cpu", "cpu:0", "cpu"]
    assert len(set(seen)) == 2
    assert relative_error(both, alone) < 1e-5


def test_photographs_are_not_all_decoded_at_once(tmp_path):
    """Each has 12 MB; what waits for the network is what it reads, 150 kB."""
    photograph = Image.effect_noise((2000, 2000), 50).convert("RGB")
    paths = [tmp_path / f"{i}.jpg" for i in range(24)]
    for i, path in enumerate(paths):
        photograph.save(path, comment=str(i).encode())
    ours = featurizer(layer=1).fit(paths)
    ours.transform(paths[:1])

    tracemalloc.start()
    try:
        ours.transform(paths)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6


def test_several_threads_prepare_images():
    """Two windows are prepared at once, and come in their order."""
    from sklearn_pretrained.running._prepare import windows

    together = threading.Barrier(2, timeout=30)

    class Doubles:
        first_window = window = portion = 2
        prepares_concurrently = True

        def prepare(self, contents):
            together.wait()
            return [2 * content for content in contents]

    class Numbers:
        def load(self, i):
            return i

    def refuse(position, error):
        raise AssertionError(position)

    found = list(windows(Numbers(), range(8), Doubles(), "auto", refuse, threads=2))
    assert [position for positions, _ in found for position in positions] == list(range(8))
    assert [sample for _, samples in found for sample in samples] == list(range(0, 16, 2))


# -- a network of one's own


def test_a_network_of_ones_own_reads_images(patches):
    """Any nn.Module, with a function that prepares a PIL image for it."""
    torch.manual_seed(0)
    network = make_convnet()
    ours = featurizer(model=network, preprocessing=to_tensor).fit(patches)
    batch = torch.stack([to_tensor(Image.fromarray(patch)) for patch in patches])
    network.eval()
    with torch.no_grad():
        expected = network.body(network.stem(batch)).mean((2, 3)).numpy()

    assert relative_error(ours.transform(patches), expected) < 1e-5
    assert ours.layer_ == "penultimate"
    assert clone(ours).model is network


def test_torchvision_transforms_are_a_preprocessing(patches):
    """What people have already."""
    transform = Compose([Resize((32, 32)), ToTensor()])
    ours = featurizer(model=make_convnet, preprocessing=transform, layer="stem", pooling="max")

    assert ours.fit_transform(patches).shape == (24, 8)


def test_a_preprocessing_that_gives_other_shapes_is_refused(patches):
    """Every image must come out in the size of the first."""
    ours = featurizer(model=make_convnet, preprocessing=ToTensor(), layer="stem").fit(patches)

    with pytest.raises(ValueError, match="resize or crop every image to one size"):
        ours.transform(patches)


def test_joblib_dumps_of_two_fits_are_the_same_size_as_the_parameters(pictures):
    """No array, tensor or network is hidden in a fitted featurizer."""
    buffer = io.BytesIO()
    joblib.dump(featurizer().fit(pictures), buffer)

    assert len(buffer.getvalue()) < 3_000
