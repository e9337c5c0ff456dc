"""A folder of transformers is found once as long as it is as it was, and no change is missed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    register_backbone,
    release,
)
from sklearn_pretrained.backbones import _sources, find_image, find_text
from sklearn_pretrained.backbones.transformers import _loading, _seen_folder
from sklearn_pretrained.pinned import _state
from sklearn_pretrained.pinned._standing import Standing
from sklearn_pretrained.process import _file_stamp
from tests import text_zoo, vision_zoo
from tests.conftest import make_mlp
from tests.test_straight_road import outcome

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders cannot be opened there")
GRAIN = 0.05
"""Seconds, longer than the clock of any local file system stands still."""
TEXT = " ".join(text_zoo.WORDS[:5])
X = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)


@pytest.fixture(autouse=True)
def _soon_old(monkeypatch):
    monkeypatch.setattr(_file_stamp, "YOUNG", GRAIN)


def grow_old():
    """Wait until what was just written is older than the clock's grain."""
    time.sleep(2 * GRAIN)


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = text_zoo.make_folder(tmp_path_factory.mktemp("networks") / "bert", "BERT")
    write(folder, "modules.json", MODULES)
    write(folder, "1_Pooling/config.json", {"pooling_mode": "mean"})
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> Path:
    return vision_zoo.make_folder(tmp_path_factory.mktemp("networks") / "vit", "ViT")


MODULES = [
    {"type": "sentence_transformers.models.Transformer", "path": ""},
    {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
    {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"},
]


def write(folder, name, what):
    """Write a file of a folder."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(what if isinstance(what, str) else json.dumps(what))


def edit(name, **changes):
    """Change values in a file of JSON."""
    return lambda folder: write(folder, name, json.loads((folder / name).read_text()) | changes)


def write_over(name):
    """Write other bytes into a file, as many, and date it back."""

    def change(folder):
        path, then = folder / name, (folder / name).stat()
        state = load_file(path)
        first = next(name for name, tensor in state.items() if tensor.numel() > 8)
        state[first] = state[first] + 1
        save_file(state, folder / "other", {"format": "pt"})
        data = (folder / "other").read_bytes()
        (folder / "other").unlink()
        assert len(data) == then.st_size
        with open(path, "r+b") as file:
            file.write(data)
        os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))

    return change


def replace(name):
    """Put another file of the same size and date in its place."""

    def change(folder):
        twin = folder.parent / "twin"
        twin.mkdir()
        shutil.copy2(folder / name, twin / name)
        write_over(name)(twin)
        (twin / name).replace(folder / name)

    return change


def move(folder):
    """Put another folder in its place, and give it the same date."""
    then, old = folder.stat(), folder.rename(folder.parent / "old")
    shutil.copytree(old, folder)
    os.utime(folder, ns=(then.st_atime_ns, then.st_mtime_ns))


def speak_otherwise(folder):
    """Let two words change their places in the vocabulary."""
    said = (folder / "tokenizer.json").read_text()
    one, other = (f'"{word}"' for word in text_zoo.WORDS[:2])
    write(folder, "tokenizer.json", said.replace(one, "?").replace(other, one).replace("?", other))


CHANGES = {
    "the folder, by an equal one": move,
    "weights, in place and dated back": write_over("model.safetensors"),
    "weights, by a file of the same date": replace("model.safetensors"),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "weights in two files": lambda folder: shutil.copy(
        folder / "model.safetensors", folder / "model-2.safetensors"
    ),
    "the configuration": edit("config.json", layer_norm_eps=0.1),
    "no configuration": lambda folder: (folder / "config.json").unlink(),
    "an adapter": lambda folder: write(folder, "adapter_config.json", {}),
    "the folder is gone": shutil.rmtree,
}
OF_TEXTS = CHANGES | {
    "the tokenizer": speak_otherwise,
    "the tokenizer's length": edit("tokenizer_config.json", model_max_length=4),
    "a list of words": lambda folder: write(folder, "vocab.txt", "a"),
    "the pooling": edit("1_Pooling/config.json", pooling_mode="max"),
    "no pooling": lambda folder: shutil.rmtree(folder / "1_Pooling"),
    "the modules": lambda folder: write(folder, "modules.json", MODULES[:2]),
    "a module's settings": lambda folder: write(folder, "2_Normalize/config.json", {"x": 1}),
    "the length": lambda folder: write(folder, "sentence_bert_config.json", {"max_seq_length": 4}),
    "a prompt": lambda folder: write(
        folder,
        "config_sentence_transformers.json",
        {"prompts": {"p": TEXT}, "default_prompt_name": "p"},
    ),
}
OF_IMAGES = CHANGES | {
    "the preprocessing": edit("preprocessor_config.json", image_mean=[0.1, 0.2, 0.3]),
    "no preprocessing": lambda folder: (folder / "preprocessor_config.json").unlink(),
}


def assert_noticed(featurizer, road, items):
    """The road is another one, and what comes of it is what comes of one found anew."""
    assert featurizer._standing.road(featurizer) is not road
    found = outcome(featurizer, items)
    featurizer._standing = Standing()
    assert found == outcome(featurizer, items)


def check(featurizer, item, change):
    """Compare a featurizer that remembers its road with one that served nothing before."""
    featurizer.fit([item])
    featurizer.transform([item])
    road = featurizer.road()
    assert featurizer.road() is road

    change()
    for _ in range(2):  # while what was written is young, and later
        assert_noticed(featurizer, road, [item])
        grow_old()


@pytest.mark.parametrize("change", OF_TEXTS.values(), ids=OF_TEXTS)
def test_a_changed_folder_of_texts_is_noticed(change, bert, tmp_path):
    """Whatever changes in it, by the next request."""
    folder = Path(shutil.copytree(bert, tmp_path / "bert"))
    grow_old()
    featurizer = PretrainedTextFeaturizer(str(folder), cache=None, truncation="cut")
    check(featurizer, TEXT, lambda: change(folder))


@pytest.mark.parametrize("change", OF_IMAGES.values(), ids=OF_IMAGES)
def test_a_changed_folder_of_images_is_noticed(change, vit, tmp_path):
    """Its preprocessing among the rest."""
    folder = Path(shutil.copytree(vit, tmp_path / "vit"))
    grow_old()
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    featurizer = PretrainedImageFeaturizer(str(folder), cache=None)
    check(featurizer, image, lambda: change(folder))


def test_a_folder_is_not_read_again_as_long_as_nothing_changes(bert, monkeypatch):
    """Which is what makes one row quick."""
    featurizer = PretrainedTextFeaturizer(str(bert), cache=None).fit([TEXT])
    expected = featurizer.transform([TEXT])
    featurizer.transform([TEXT])
    monkeypatch.setattr(_state.PinnedState, "find_backbone", None)

    np.testing.assert_array_equal(featurizer.transform([TEXT]), expected)


def test_a_young_folder_is_read_each_time(bert, monkeypatch):
    """It may change within one tick of its file system's clock, and look the same."""
    monkeypatch.setattr(_file_stamp, "YOUNG", 1e9)
    featurizer = PretrainedTextFeaturizer(str(bert), cache=None).fit([TEXT])

    assert featurizer.road() is not featurizer.road()


def test_a_folder_that_changes_while_it_is_read_is_read_again(bert, tmp_path, monkeypatch):
    """What is compared is how it was before anything was read."""
    folder = Path(shutil.copytree(bert, tmp_path / "bert"))
    grow_old()
    whole = _seen_folder.SeenFolder.note

    def late(seen, shared):
        edit("1_Pooling/config.json", pooling_mode="max")(folder)
        grow_old()
        whole(seen, shared)

    monkeypatch.setattr(_seen_folder.SeenFolder, "note", late)

    assert not find_text(str(folder)).is_still("")


@pytest.mark.parametrize("lies", ["a link to nothing", "a pipe", "many files"])
def test_what_might_change_without_showing_is_read_each_time(lies, bert, tmp_path):
    """And no pipe is waited for."""
    folder = Path(shutil.copytree(bert, tmp_path / "bert"))
    grow_old()
    assert find_text(str(folder)).is_still("")
    if lies == "a pipe":
        os.mkfifo(folder / "pipe.json")
    elif lies == "a link to nothing":
        (folder / "vocab.txt").symlink_to(tmp_path / "nowhere")
    else:
        for i in range(_seen_folder._MOST):
            write(folder, f"{i}.json", {})
    grow_old()

    assert not find_text(str(folder)).is_still("")


@pytest.mark.parametrize("by", ["the working directory", "a link", "the home directory"])
def test_a_name_that_stands_for_another_folder_is_noticed(by, bert, tmp_path, monkeypatch):
    """Both are as they were."""
    for name in ("one", "two"):
        shutil.copytree(bert, tmp_path / name / "bert")
    edit("1_Pooling/config.json", pooling_mode="max")(tmp_path / "two" / "bert")
    monkeypatch.chdir(tmp_path / "one")
    monkeypatch.setenv("HOME", str(tmp_path / "one"))
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one" / "bert")
    grow_old()
    model = {"the working directory": "bert", "a link": str(link)}.get(by, "~/bert")
    featurizer = PretrainedTextFeaturizer(model, cache=None)

    def change():
        monkeypatch.chdir(tmp_path / "two")
        monkeypatch.setenv("HOME", str(tmp_path / "two"))
        link.unlink()
        link.symlink_to(tmp_path / "two" / "bert")

    check(featurizer, TEXT, change)


@pytest.mark.parametrize("by", ["the revision", "a folder of that name", "the cache's place"])
def test_a_name_on_the_hub_that_stands_for_another_folder_is_noticed(
    by, bert, tmp_path, monkeypatch
):
    """Where its cache says so, or a folder goes before it."""
    home, commits = tmp_path / "models--me--bert", ("a" * 40, "b" * 40)
    for commit in commits:
        shutil.copytree(bert, home / "snapshots" / commit)
    edit("config.json", layer_norm_eps=0.1)(home / "snapshots" / commits[1])
    write(home, "refs/main", commits[0])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    grow_old()
    featurizer = PretrainedTextFeaturizer("me/bert", cache=None)

    def change():
        if by == "the revision":
            write(home, "refs/main", commits[1])
        elif by == "a folder of that name":
            shutil.copytree(home / "snapshots" / commits[1], tmp_path / "me" / "bert")
        else:
            place = str(tmp_path / "elsewhere")
            monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", place)

    check(featurizer, TEXT, change)


def test_a_configuration_that_is_set_in_memory_is_noticed(bert):
    """It is shared by all who describe the same folder."""
    release()
    featurizer = PretrainedTextFeaturizer(str(bert), cache=None)

    def change():
        backbone = featurizer.road().backbone
        _loading.config(backbone.folder, backbone.version).layer_norm_eps = 0.1

    check(featurizer, TEXT, change)
    release()


def test_what_is_kept_of_the_hub_is_that_of_now(vit, tmp_path, monkeypatch):
    """A network is described again once its name stands for another folder."""
    home, commits = tmp_path / "models--me--vit", ("a" * 40, "b" * 40)
    for commit in commits:
        shutil.copytree(vit, home / "snapshots" / commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for commit in commits:
        write(home, "refs/main", commit)
        assert find_image("me/vit").folder.name == commit


def test_a_folder_of_the_same_relative_name_is_another_one(vit, tmp_path, monkeypatch):
    """Although all but its weights is equal."""
    for name in ("one", "two"):
        shutil.copytree(vit, tmp_path / name / "vit")
        monkeypatch.chdir(tmp_path / name)
        assert find_image("vit").folder == tmp_path / name / "vit"


# -- functions and programs


class Scaled:
    """A function that makes a network, with a number of its own."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self):
        torch.manual_seed(0)
        network = make_mlp()
        network[0].weight.data *= self.scale
        return network


def fitted(model, **parameters):
    featurizer = ModuleFeaturizer(model, layer="0", cache=None, **parameters).fit(X)
    featurizer.transform(X[:1])
    featurizer.transform(X[:1])
    featurizer.transform(X[:1])
    return featurizer


def test_a_function_is_called_once_as_long_as_it_is_as_it_was(monkeypatch):
    """And its network is found at once."""
    featurizer = fitted(Scaled(1.0))
    expected = featurizer.transform(X[:1])
    monkeypatch.setattr(_state.PinnedState, "find_backbone", None)

    np.testing.assert_array_equal(featurizer.transform(X[:1]), expected)


OF_FUNCTIONS = {
    "what it holds": lambda make, path: setattr(make, "scale", 2.0),
    "its code": lambda make, path: setattr(make, "__class__", type("Other", (Scaled,), {})),
    "what is remembered of it": lambda make, path: release(),
    "its file": lambda make, path: save_file(Scaled(2.0)().state_dict(), path),
    "no file": lambda make, path: path.unlink(),
}


@pytest.mark.parametrize("change", OF_FUNCTIONS.values(), ids=OF_FUNCTIONS)
def test_a_function_that_changes_is_noticed(change, tmp_path):
    """So is a change of the file that its weights come from."""
    path = tmp_path / "weights.safetensors"
    save_file(Scaled(1.0)().state_dict(), path)
    make = Scaled(1.0)
    featurizer = fitted(make, weights=path)
    road = featurizer.road()
    assert featurizer.road() is road

    change(make, path)
    assert_noticed(featurizer, road, X[:1])


FACTOR = 1.0


def plain_function():
    held = [1.0]

    def make(scale=1.0):
        return Scaled(scale * held[0] * FACTOR)()

    return make


def other_function():
    held = [1.0]

    def make(scale=1.0):
        return Scaled(2 * scale * held[0] * FACTOR)()

    return make


OF_PLAIN_FUNCTIONS = {
    "what it has captured": lambda make, _: make.__closure__[0].cell_contents.__setitem__(0, 2.0),
    "its cell": lambda make, _: setattr(make.__closure__[0], "cell_contents", [2.0]),
    "its defaults": lambda make, _: setattr(make, "__defaults__", (2.0,)),
    "its code": lambda make, _: setattr(make, "__code__", other_function().__code__),
    "what it reads": lambda _, patch: patch.setattr(sys.modules[__name__], "FACTOR", 2.0),
    "an attribute": lambda make, _: setattr(make, "scale", 2.0),
}


@pytest.mark.parametrize("change", OF_PLAIN_FUNCTIONS.values(), ids=OF_PLAIN_FUNCTIONS)
def test_a_plain_function_is_looked_at_as_an_object_is(change, monkeypatch):
    """Its network is found at once, as long as nothing changes that it is made of or reads."""
    make = plain_function()
    featurizer = fitted(make)
    road = featurizer.road()
    assert featurizer.road() is road

    change(make, monkeypatch)
    assert_noticed(featurizer, road, X[:1])


def test_a_relative_path_of_weights_is_that_of_now(tmp_path, monkeypatch):
    """As it is without what is remembered."""
    for scale, name in ((1.0, "one"), (2.0, "two")):
        (tmp_path / name).mkdir()
        save_file(Scaled(scale)().state_dict(), tmp_path / name / "weights.safetensors")
    monkeypatch.chdir(tmp_path / "one")
    featurizer = fitted(Scaled(1.0), weights="weights.safetensors")

    monkeypatch.chdir(tmp_path / "two")
    with pytest.raises(Exception, match="not those that this estimator was fitted with"):
        featurizer.transform(X[:1])


def test_a_program_in_a_file_is_found_once_as_long_as_the_file_is_as_it_was(tmp_path):
    """One in memory is read each time, since its tensors may be changed in place."""
    from tests.test_program import export, load

    path = tmp_path / "mlp.pt2"
    torch.export.save(export(make_mlp().eval(), (8,)), path)
    grow_old()
    featurizer = fitted(load(path))
    road = featurizer.road()
    assert featurizer.road() is road
    in_memory = fitted(torch.export.load(path))
    assert in_memory.road() is not in_memory.road()

    torch.export.save(export(make_mlp().eval(), (8,)), path)
    with pytest.raises(Exception, match="not those that this estimator was fitted with"):
        featurizer.transform(X[:1])


@pytest.mark.parametrize("gives", ["a pair", "a backbone"])
def test_a_source_is_asked_each_time(gives, monkeypatch, patches):
    """It may be registered anew, and give another network under the same name."""
    monkeypatch.setattr(_sources, "_registered", {})

    def preprocessing(image):
        return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1).float()

    def source(seed):
        def make():
            torch.manual_seed(seed)
            return nn.Conv2d(3, 4, 3)

        if gives == "a pair":
            return lambda _name: (make, preprocessing)
        return lambda _name: find_image(["resnet18", "resnet34"][seed], weights=None)

    register_backbone("ours", source(0))
    featurizer = PretrainedImageFeaturizer("ours/net", cache=None, layer="output")
    featurizer.fit(patches)
    featurizer.transform(patches[:1])
    featurizer.transform(patches[:1])

    register_backbone("ours", source(1))
    with pytest.raises(Exception, match=r"not prepared as it was|not those that"):
        featurizer.transform(patches[:1])
