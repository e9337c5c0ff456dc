"""The command `featurize`: files in, files of features out."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PIL import Image

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer, read_features
from tests.conftest import relative_error


def run(*words):
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "sklearn_pretrained", "featurize", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def photos(patches, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, patch in enumerate(patches[:5]):
        Image.fromarray(patch).save(folder / f"{i}.png")
    return folder


def test_a_folder_of_images_becomes_a_folder_of_features(photos, tmp_path, command):
    """Those of `transform`; another process that is asked for them computes nothing."""
    words = [photos, "--model", "mobilenet_v2", "--layer", 1, "--image-size", 48]
    words += ["--keep-layer", "0", "--to", tmp_path / "features", "--quiet"]

    first = run(*words)
    _, again, _ = command("featurize", *words)

    assert first.stdout.startswith("5 rows in 1 files in "), first.stderr
    assert first.stdout.endswith("5 computed now, 0 could not be read.\n")
    assert "0 computed now" in again
    paths = [str(path) for path in sorted(photos.iterdir())]
    expected = PretrainedImageFeaturizer(layer=1, image_size=48).fit_transform(paths)
    features = read_features(tmp_path / "features")
    assert relative_error(features.X, expected) < 1e-5
    assert "features.0:avg" in features.layers


def test_a_column_of_texts(tmp_path, command):
    """Of a table; a bad option is told in one line."""
    (tmp_path / "t.csv").write_text("id,text\na,first\nb,second\n")
    words = [
        "featurize",
        tmp_path / "t.csv",
        "--texts",
        "--layer",
        "0",
        "--to",
        tmp_path / "features",
    ]

    code, _, errors = command(*words, "--column", "text", "--key", "id")
    wrong = command(*words, "--column", "words")

    features = read_features(tmp_path / "features")
    assert code == 0, errors
    assert features.keys.tolist() == ["a", "b"]
    expected = PretrainedTextFeaturizer(layer=0).fit_transform(["first", "second"])
    assert relative_error(features.X, expected) < 1e-5
    assert wrong[0] == 1
    assert "It has no column 'words'" in wrong[2]
