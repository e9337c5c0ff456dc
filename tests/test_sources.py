"""Named sources of networks: registered ones, installed ones, and the table of all."""

from __future__ import annotations

import pickle
import time
from types import SimpleNamespace

import pytest
from torch import nn
from torchvision.models import MobileNet_V2_Weights

from sklearn_pretrained import (
    PretrainedImageFeaturizer,
    backbones,
    list_backbones,
    list_layers,
    register_backbone,
)
from sklearn_pretrained.backbones import _sources
from sklearn_pretrained.backbones.torchvision._entries import WIDTHS
from sklearn_pretrained.layers import plan
from tests import zoo
from tests.conftest import make_convnet, to_tensor


def tiny(name):
    """Give two networks that differ in nothing but their names' share of the weights."""
    width = int(name.removeprefix("width"))

    def make():
        return nn.Sequential(nn.Conv2d(3, width, 3, 2), nn.ReLU(), nn.Conv2d(width, 4, 3))

    return make, to_tensor


@pytest.fixture
def tiny_source(monkeypatch):
    """A source for the time of one test."""
    monkeypatch.setattr(_sources, "_registered", {})
    register_backbone("tiny", tiny, names=["width6", "width8"])


def test_a_registered_name_is_a_network(tiny_source, pictures):
    """With the same features as the network itself, layers, and pickles."""
    featurizer = PretrainedImageFeaturizer("tiny/width6", layer="1")
    rows = featurizer.fit_transform(pictures)
    make, preprocessing = tiny("width6")
    own = PretrainedImageFeaturizer(make, preprocessing=preprocessing, layer="1")

    assert featurizer.model_ == "tiny/width6"
    assert rows.tolist() == own.fit_transform(pictures).tolist()
    assert rows.tolist() == pickle.loads(pickle.dumps(featurizer)).transform(pictures).tolist()
    assert [layer.width("avg") for layer in list_layers("tiny/width8", every=True)][:2] == [8, 8]


def test_names_are_different_rows(tiny_source):
    """Two names of one source, and of another one, never share a row in a cache."""
    register_backbone("other", tiny)
    names = ["tiny/width6", "tiny/width8", "other/width6"]
    recipes = [backbones.find(name).recipe() for name in names]

    assert all(recipes.count(recipe) == 1 for recipe in recipes)
    assert backbones.find("tiny/width6").recipe() == recipes[0]


def test_a_factory_may_return_a_backbone(tiny_source, pictures):
    """And gets what the user set, but nothing that has its default."""
    asked = {}

    def factory(name, **parameters):
        asked.update(parameters)
        return backbones.find_image(name, **parameters)

    register_backbone("ours", factory)
    featurizer = PretrainedImageFeaturizer("ours/mobilenet_v2", image_size=64)
    rows = featurizer.fit_transform(pictures)

    assert asked == {"image_size": 64}
    assert rows.shape == (2, 1280)


def test_mistakes_say_what_to_do(tiny_source, pictures):
    """Names that cannot be, factories that give something else, parameters that none takes."""
    for name in ("", "a/b", "timm", "torchvision"):
        with pytest.raises(ValueError, match="cannot be registered"):
            register_backbone(name, tiny)
    with pytest.raises(TypeError, match="factory must be callable"):
        register_backbone("x", None)
    with pytest.raises(ValueError, match=r"'tiny' does not accept image_size=64"):
        PretrainedImageFeaturizer("tiny/width6", image_size=64).fit(pictures)
    register_backbone("x", lambda _name: make_convnet())
    with pytest.raises(TypeError, match=r"must return a pair .* got TinyConvNet"):
        PretrainedImageFeaturizer("x/y").fit(pictures)


def test_an_installed_package_registers_its_source(monkeypatch):
    """By an entry point, which is loaded when its name is asked for."""
    loaded = []

    def load():
        loaded.append(1)
        return tiny

    point = SimpleNamespace(name="installed", load=load)
    monkeypatch.setattr(_sources, "_registered", {})
    monkeypatch.setattr(_sources, "_installed", lambda: (point,))

    assert backbones.find("mobilenet_v2").name == "torchvision/mobilenet_v2"
    assert loaded == []
    assert backbones.find("installed/width6").name == "installed/width6"
    assert backbones.find("installed/width8").name == "installed/width8"
    assert loaded == [1]


def test_the_table_knows_torchvisions_facts():
    """Parameters, width, size, cost and weights, without building a network."""
    frame = list_backbones().to_frame().set_index("name")

    assert len(frame) >= 80
    assert frame.loc["mobilenet_v2"].tolist() == [
        *("torchvision", "mobilenetv2", 3504872, 1280, 224, 0.301, 0.71878, "at hand")
    ]
    published = MobileNet_V2_Weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert 100 * frame.loc["mobilenet_v2", "accuracy"] == published  # of the weights at hand
    assert frame.notna().all().all()
    assert set(WIDTHS) == set(zoo.names())


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "swin_t", "squeezenet1_0", "regnet_y_400mf"),
        *("timm/resnet10t", "timm/vit_tiny_patch16_224", "timm/mobilenetv3_small_050"),
        *("timm/convnext_atto", "timm/efficientvit_b0", "timm/vit_small_patch14_dinov2"),
    ],
)
def test_the_table_agrees_with_the_plan(name):
    """Width and parameters are those of the network that would be built."""
    backbone = backbones.find(name, weights=None)
    layer = plan(backbone).layers["penultimate"]
    table = list_backbones(source=name.partition("/")[0] if "/" in name else "torchvision")
    entry = table.entries[list(table).index(name)]

    assert entry.width == layer.width(layer.pooling("auto"))
    assert entry.parameters == sum(p.numel() for p in backbone.skeleton(grown=False).parameters())
    assert entry.input_size == backbone.preprocessing.crop


def test_a_search_finds_names_sources_and_families(tiny_source):
    """All words must occur; timm's networks join when one searches."""
    assert list(list_backbones("resnet 50", source="torchvision")) == [
        "resnet50",
        "resnext50_32x4d",
        "wide_resnet50_2",
    ]
    assert list(list_backbones("tiny width")) == ["tiny/width6", "tiny/width8"]
    assert "timm/vit_tiny_patch16_224" in list_backbones("vit_tiny")
    assert not any(name.startswith("timm/") for name in list_backbones())
    with pytest.raises(ValueError, match="'nowhere' is not a known source of networks"):
        list_backbones(source="nowhere")


def test_the_table_of_timm_takes_little_time():
    """A thousand networks, none of which is built."""
    list_backbones(source="timm")  # imports timm
    started = time.process_time()
    table = list_backbones(source="timm")

    assert len(table) > 1000
    assert time.process_time() - started < 1
    assert "timm/resnet18" in table
    assert table.entries[list(table).index("timm/resnet18")].family == "resnet"


def test_the_table_prints_in_columns():
    """Numbers in short form; slices are tables too."""
    table = list_backbones(source="torchvision")[:2]

    assert [" ".join(line.split()) for line in repr(table).splitlines()] == [
        "2 networks",
        "name source family parameters width input size GFLOP accuracy weights",
        "alexnet torchvision alexnet 61.1 M 4096 224 0.71 0.565 to fetch",
        "convnext_base torchvision convnext 88.6 M 1024 224 15.36 0.841 to fetch",
    ]
    assert table[0] == "alexnet"


def test_names_on_the_hub_are_no_source():
    """An unknown prefix, or a bare unknown name, is told so."""
    with pytest.raises(ValueError, match="Unknown image network"):
        backbones.find_image("mobilenet_v9")
