"""The command line: features, layers, networks and doctor, in windows of any width."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest
from PIL import Image

from sklearn_pretrained import (
    FeatureCache,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    list_layers,
)
from sklearn_pretrained._command import COMMANDS, _computing, _installed, _kept
from sklearn_pretrained._command._findings import AMISS


@pytest.fixture
def photos(patches, tmp_path):
    """Give a folder of three pictures."""
    for i, patch in enumerate(patches[:3]):
        Image.fromarray(patch).save(tmp_path / f"{i}.png")
    return tmp_path


def test_features_of_a_folder_are_those_of_the_featurizer(command, photos, patches):
    """In every format, with the names of the files beside them."""
    expected = PretrainedImageFeaturizer(layer=[0, 0.5]).fit_transform(patches[:3])
    asked = ["features", photos, "--layer", "0", "--layer", "0.5"]
    names = [str(photos / f"{i}.png") for i in range(3)]
    made = photos / "made"
    made.mkdir()
    for suffix in ("npy", "npz", "csv", "parquet"):
        code, said, _ = command(*asked[:1], *names, *asked[2:], "--to", made / f"rows.{suffix}")
        assert code == 0
        assert f"3 rows of {expected.shape[1]} features." in said

    np.testing.assert_array_equal(np.load(made / "rows.npy"), expected)
    both = np.load(made / "rows.npz")
    np.testing.assert_array_equal(both["features"], expected)
    assert both["items"].tolist() == names
    with (made / "rows.csv").open() as file:
        heads, *lines = csv.reader(file)
    assert heads[:2] == ["item", "feature_0"]
    assert [line[0] for line in lines] == names
    np.testing.assert_array_equal(np.array([line[1:] for line in lines], np.float32), expected)
    from pyarrow import parquet

    table = parquet.read_table(made / "rows.parquet")
    assert table["item"].to_pylist() == names
    np.testing.assert_array_equal(table["feature_1"].to_numpy(), expected[:, 1])


def test_texts_are_told_by_their_files_and_read_by_the_default_encoder(command, tmp_path):
    """A line each; square brackets are no markup."""
    (tmp_path / "a.txt").write_text("fine [bold]and[/bold]\ndull\n")
    expected = PretrainedTextFeaturizer().fit_transform(["fine [bold]and[/bold]", "dull"])
    _, said, _ = command("features", tmp_path / "a.txt", "--csv")
    _, table, _ = command("features", tmp_path / "a.txt", columns=60)
    _, *lines = csv.reader(io.StringIO(said))

    assert [line[0] for line in lines] == ["fine [bold]and[/bold]", "dull"]
    np.testing.assert_allclose(np.array([x[1:] for x in lines], float), expected, rtol=1e-3)
    assert "fine [bold]and[/bold]" in table
    assert re.search(r"^[1-9] of 384 columns are shown", table, re.MULTILINE)


@pytest.mark.filterwarnings("default")  # as in a program of its own
def test_an_item_that_cannot_be_read_is_one_line_or_a_row_of_nan(command, photos):
    """As `on_error` says."""
    (photos / "9.png").write_text("no picture")
    code, _, error = command("features", photos)
    nan = command("features", photos, "--on-error", "nan", "--csv", "--layer", "0")

    assert code == 1
    assert error.startswith("Error: Item 3 of X")
    assert len(error.splitlines()) == 1
    assert nan[0] == 0
    assert nan[1].splitlines()[-1].endswith(",nan")
    assert nan[2].startswith("Warning: ")


def test_layers_are_those_of_list_layers(command):
    """Of images and texts, in a table or CSV."""
    _, table, _ = command("layers", "resnet18")
    _, rows, _ = command("layers", "resnet18", "--every", "--csv")
    _, text, _ = command("layers", "sentence-transformers/all-MiniLM-L6-v2")

    assert [line.split()[0] for line in table.splitlines()[1:-1]] == [
        layer.name for layer in list_layers("resnet18")
    ]
    assert [row[0] for row in csv.reader(io.StringIO(rows))][1:] == [
        layer.name for layer in list_layers("resnet18", every=True)
    ]
    assert "layers." in text


def test_networks_are_found_by_words_sorted_and_at_hand(command):
    """By cost, cheapest first; by accuracy, best first."""
    _, cheap, _ = command("networks", "resnet", "--source", "torchvision", "--sort", "cost")
    _, best, _ = command("networks", "--sort", "accuracy", "--csv")
    _, here, _ = command("networks", "mobilenet_v2", "--at-hand")

    assert cheap.splitlines()[1].startswith("resnet18")
    accuracies = [float(row["accuracy"]) for row in csv.DictReader(io.StringIO(best))]
    assert accuracies == sorted(accuracies, reverse=True)
    assert "mobilenet_v2" in here
    assert "to fetch" not in here


@pytest.mark.parametrize("words", [("networks", "vit"), ("layers", "vit_b_16", "--every")])
@pytest.mark.parametrize("columns", [30, 60, 200])
def test_no_line_of_a_table_is_longer_than_the_window(command, words, columns):
    """Columns are left out, and at last the first one is cut."""
    _, said, _ = command(*words, columns=columns)
    table = said.splitlines()[:-1]

    assert max(map(len, table)) <= columns


def test_an_error_is_one_line_without_a_traceback(command):
    """With what to do; `--traceback` raises it as it is."""
    code, _, error = command("layers", "resnt18")

    assert code == 1
    assert error.startswith("Error: Unknown image network model='resnt18'. Did you mean 'resnet18'")
    with pytest.raises(ValueError, match="Unknown image network"):
        command("--traceback", "layers", "resnt18")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples(command, name):
    """Of each command."""
    code, said, _ = command(name, "--help", columns=100)

    assert code == 0
    assert "Examples:" in said
    assert f"{name} " in said.partition("Examples:")[2]


def test_doctor_finds_nothing_amiss_here(command, tmp_path, patches):
    """And counts what a cache holds."""
    cache = FeatureCache(tmp_path / "rows.sqlite")
    PretrainedImageFeaturizer(cache=cache).fit_transform(patches[:3])
    code, said, _ = command("doctor", "--cache", tmp_path / "rows.sqlite")

    assert code == 0, said
    assert said.splitlines()[-1] == "Nothing is amiss."
    assert "3 rows, " in said
    for word in ("scikit-learn", "torch", "fast paths", "SHA-256", "images/s"):
        assert word in said


def test_doctor_names_what_is_amiss(command, monkeypatch, tmp_path):
    """A package that is too old, a part of a library that is gone, a cache that is not there."""
    real = _installed._version
    monkeypatch.setattr(_installed, "_version", lambda n: "0.1" if n == "joblib" else real(n))
    monkeypatch.setattr(_computing, "_works", lambda one: "_convolves" not in str(one.probe))
    code, said, _ = command("doctor", "--quick", "--cache", tmp_path / "no.sqlite")

    assert code == 1
    assert "pip install --upgrade joblib" in said
    assert "nothing is folded" in said
    assert said.splitlines()[-1].startswith("Amiss: joblib, ")
    assert str(tmp_path / "no.sqlite") in said.splitlines()[-1]
    assert not (tmp_path / "no.sqlite").exists()


def test_doctor_names_a_torchvision_for_another_torch(command, monkeypatch):
    """With what installs a pair; what can't be looked at then is said, and nothing crashes."""

    def fails():
        raise ImportError("torch 1 and torchvision 2 do not work together (no nms). Install both")

    def stops():
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(_installed, "need_torchvision", fails)
    monkeypatch.setattr(_kept, "weights", stops)
    code, said, _ = command("doctor", "--quick")

    assert code == 1
    assert "do not work together" in said
    assert "operator torchvision::nms does not exist" in said
    assert said.splitlines()[-1] == "Amiss: torch and torchvision, Weights at hand."


def test_doctor_names_damaged_weights(monkeypatch, tmp_path):
    """Those of the package, by the error of whoever loads them."""
    from sklearn_pretrained.backbones.torchvision import _networks

    (tmp_path / "mobilenet_v2.safetensors").write_bytes(b"no weights")
    monkeypatch.setattr(_networks, "EMBEDDED", tmp_path)
    _networks.backbone.cache_clear()
    shipped = _kept.weights()[0]
    _networks.backbone.cache_clear()

    assert shipped.state == AMISS
