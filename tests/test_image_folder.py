"""From a folder of class folders to paths and classes."""

from __future__ import annotations

import os

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from torchvision.datasets import ImageFolder

from sklearn_pretrained import load_image_folder
from tests.hostile import trial
from tests.inputs.corpus import encode, photo


def write(top, *names):
    for seed, name in enumerate(names):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(photo(seed), "PNG"))


@pytest.fixture
def folder(tmp_path):
    """Two classes, one of them nested, among files that belong to neither."""
    write(tmp_path, "b/2.PNG", "b/1.png", "a/deep/er/3.png", "a/1.jpg", "stray.png", ".git/x.png")
    write(tmp_path, "a/.thumbs/1.png", "b/._1.png", "empty/.x.png")
    (tmp_path / "a" / "notes.txt").write_text("a\n")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "b" / "round").symlink_to(tmp_path / "b")
    return tmp_path


def test_class_folders_become_paths_and_targets(folder):
    """Sorted, whatever the file system's order; nested folders belong to their class."""
    images = load_image_folder(folder)

    names = [os.path.relpath(path, folder) for path in images.data]
    assert names == ["a/1.jpg", "a/deep/er/3.png", "b/1.png", "b/2.PNG"]
    assert images.target_names == ["a", "b"]
    np.testing.assert_array_equal(images.target, [0, 0, 1, 1])
    assert images.filenames is images.data


def test_what_is_left_out_is_listed(folder):
    """Other files, hidden ones, links that lead nowhere or in a circle, classes without images."""
    odd = {os.path.relpath(path, folder) for path in load_image_folder(folder).odd_files}

    assert odd == {
        *("stray.png", ".git", "a/.thumbs", "a/notes.txt", "a/gone.png"),
        *("b/._1.png", "b/round", "empty/.x.png", "empty"),
    }


def test_endings_may_be_chosen(folder):
    """In capitals or not."""
    images = load_image_folder(str(folder), allowed_extensions=[".JPG", ".txt"])

    assert [os.path.relpath(path, folder) for path in images.data] == ["a/1.jpg", "a/notes.txt"]
    assert images.target_names == ["a"]


def test_a_folder_without_classes_says_what_to_do(tmp_path):
    """Also one that is not there."""
    write(tmp_path, "1.png")
    with pytest.raises(ValueError, match=r"their own folder.*glob\('\*.jpg'\)"):
        load_image_folder(tmp_path)
    with pytest.raises(NotADirectoryError, match="There is no folder"):
        load_image_folder(tmp_path / "no")


def test_files_and_classes_are_those_of_torchvision(tmp_path):
    """So that either may be used."""
    write(tmp_path, "b/2.png", "b/10.png", "a/x/1.png", "a/0.png", "A/0.png")
    images, same = load_image_folder(tmp_path), ImageFolder(tmp_path)

    assert list(zip(images.data, images.target, strict=True)) == sorted(same.samples)
    assert images.target_names == same.classes


def test_paths_and_targets_go_through_a_pipeline(folder):
    """Split, fitted and scored as any X and y."""
    images = load_image_folder(folder)
    train, test, y_train, _ = train_test_split(
        images.data, images.target, stratify=images.target, test_size=2, random_state=0
    )
    pipeline = make_pipeline(trial.images(on_error="raise"), LogisticRegression())

    assert pipeline.fit(train, y_train).predict(test).shape == (2,)
    search = GridSearchCV(pipeline, {"logisticregression__C": [1, 10]}, cv=2, error_score="raise")
    assert search.fit(images.data, images.target).best_score_ >= 0
