"""Containers of images: each is read by position, lazily, with the rows of the plain list."""

from __future__ import annotations

import io
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms import ToTensor

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.exceptions import BadItemError, BadItemWarning
from sklearn_pretrained.inputs import _digest, read_images, read_texts
from tests.conftest import relative_error
from tests.hostile import trial
from tests.inputs.corpus import encode, photo

IMAGES = [photo(seed) for seed in range(4)]
FILES = [encode(picture, "PNG") for picture in IMAGES]


@pytest.fixture(scope="module")
def rows():
    return trial.images(on_error="raise").fit_transform(IMAGES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Write two classes of two pictures each, as an ImageFolder reads them."""
    place = tmp_path_factory.mktemp("classes")
    for i, data in enumerate(FILES):
        (place / f"class {i // 2}").mkdir(exist_ok=True)
        (place / f"class {i // 2}" / f"{i}.png").write_bytes(data)
    return place


def paths(folder):
    return [str(path) for path in sorted(folder.rglob("*.png"))]


def hugging_face(**columns):
    cells = [{"bytes": data, "path": None} for data in FILES]
    dataset = datasets.Dataset.from_dict({"photo": cells, **columns})
    return dataset.cast_column("photo", datasets.Image())


class ByIndex:
    """A sequence that makes its items when they are asked for, and counts them."""

    def __init__(self, items):
        self.items = items
        self.taken = []

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        self.taken.append(i)
        return self.items[i]


CONTAINERS = {
    "ImageFolder": ImageFolder,
    "ImageFolder of tensors": lambda folder: ImageFolder(folder, transform=ToTensor()),
    "samples of an ImageFolder": lambda folder: ImageFolder(folder).samples,
    "parts of a dataset": lambda folder: ConcatDataset(
        [Subset(ImageFolder(folder), [0, 1]), Subset(ImageFolder(folder), [2, 3])]
    ),
    "TensorDataset": lambda _: TensorDataset(
        torch.stack([ToTensor()(picture) for picture in IMAGES]), torch.arange(4)
    ),
    "TensorDataset without labels": lambda _: TensorDataset(
        torch.stack([ToTensor()(picture) for picture in IMAGES])
    ),
    "Hugging Face dataset": lambda _: hugging_face(),
    "Hugging Face dataset with labels": lambda _: hugging_face(label=[0, 1, 0, 1], text=["a"] * 4),
    "Hugging Face column": lambda _: hugging_face(label=[0, 1, 0, 1])["photo"],
    "Hugging Face cells": lambda _: hugging_face().cast_column(
        "photo", datasets.Image(decode=False)
    )["photo"],
    "Hugging Face frame": lambda _: hugging_face().to_pandas(),
    "Hugging Face table": lambda _: hugging_face().data.table,
    "list of BytesIO": lambda _: [io.BytesIO(data) for data in FILES],
    "any sequence": lambda _: ByIndex(FILES),
    "arrow array of files": lambda _: pa.array(FILES),
    "arrow chunks of files": lambda _: pa.chunked_array([FILES[:1], FILES[1:]]),
    "arrow array of large files": lambda _: pa.array(FILES, pa.large_binary()),
    "arrow array of paths": lambda folder: pa.array(paths(folder)),
    "arrow table": lambda folder: pa.table({"photo": paths(folder)}),
    "arrow batch": lambda _: pa.RecordBatch.from_pydict({"photo": FILES}),
    "arrow strings in pandas": lambda folder: pd.Series(
        paths(folder), dtype=pd.ArrowDtype(pa.string()), index=list("abcd")
    ),
    "arrow bytes in pandas": lambda _: pd.Series(FILES, dtype=pd.ArrowDtype(pa.binary())),
    "pandas column": lambda folder: pd.Series(paths(folder), index=[3, 2, 1, 0]),
    "pandas categories": lambda folder: pd.Series(paths(folder), dtype="category"),
    "pandas frame of pictures": lambda _: pd.DataFrame({"photo": IMAGES}),
    "pandas frame of cells": lambda _: pd.DataFrame(
        {"photo": [{"bytes": data, "path": None} for data in FILES]}
    ),
    "polars column of files": lambda _: pl.Series(FILES),
    "polars column of paths": lambda folder: pl.Series(paths(folder)),
    "polars frame": lambda folder: pl.DataFrame({"photo": paths(folder)}),
    "polars column of nested lists": lambda _: pl.Series(
        [np.asarray(picture).tolist() for picture in IMAGES],
        dtype=pl.List(pl.List(pl.List(pl.UInt8))),
    ),
    "numpy column": lambda folder: np.array(paths(folder), dtype=object)[:, None],
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_of_images_gives_the_rows_of_the_list(name, folder, rows):
    """Labels beside the images are ignored."""
    parameters = {"value_range": (0, 255)} if "nested" in name else {}
    featurizer = trial.images(on_error="raise", **parameters)

    assert relative_error(featurizer.fit_transform(CONTAINERS[name](folder)), rows) < 1e-5


def test_items_are_taken_out_when_they_are_asked_for():
    """None while X is looked at, and each as its row is wanted."""
    lazy = ByIndex(FILES)
    items = read_images(lazy)
    assert (len(items), lazy.taken) == (4, [])

    trial.images(on_error="raise").fit(lazy)
    assert lazy.taken == []
    items.digest(2)
    assert lazy.taken == [2]


def test_what_a_dataset_gives_otherwise_the_second_time_is_refused(monkeypatch):
    """Where it is read twice, a row would be stored under the name of another content."""
    monkeypatch.setattr("sklearn_pretrained.inputs._held.MOST_BYTES", 0)
    dice = np.random.default_rng(0)
    noise = [dice.integers(0, 256, (9, 9, 3), dtype=np.uint8) for _ in range(9)]

    class Augmented(ByIndex):
        def __getitem__(self, i):
            return noise.pop()

    with pytest.raises(BadItemError, match=r"Item 0 of X changed while .* random augmentation"):
        trial.images(on_error="raise").fit_transform(Augmented(FILES))


def test_a_text_that_a_dataset_gives_otherwise_the_second_time_has_no_row(monkeypatch):
    """What was hashed is what is read, and where there is no room for it, the text is refused."""

    class Drawn(ByIndex):
        def __getitem__(self, i):
            return words.pop()

    words = list("abcdefgh")
    items = read_texts(Drawn([0] * 3))
    digests = [items.digest(i) for i in range(3)]
    assert [_digest.of_text(items.load(i)) for i in range(3)] == digests

    items.let_go()
    monkeypatch.setattr("sklearn_pretrained.inputs._held.MOST_BYTES", 0)
    items.digest(0)
    with pytest.raises(BadItemError, match=r"changed while .* random augmentation"):
        items.load(0)


def test_a_broken_file_of_a_dataset_is_named(folder, tmp_path, rows):
    """An ImageFolder raises where it cannot read, and that is the error of one row."""
    for path in paths(folder):
        copy = tmp_path / Path(path).relative_to(folder)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(b"junk" if copy.name == "1.png" else Path(path).read_bytes())
    featurizer = trial.images()
    with pytest.warns(BadItemWarning, match=r"Item 1 of X could not be taken out of X.*1\.png"):
        ours = featurizer.fit_transform(ImageFolder(tmp_path))

    assert np.isnan(ours[1]).all()
    assert relative_error(ours[[0, 2, 3]], rows[[0, 2, 3]]) < 1e-5


@pytest.mark.parametrize(
    ("X", "error", "told"),
    [
        ({"photo": FILES}, TypeError, "X is a dict with the keys 'photo'; pass the column"),
        (DataLoader(FakeData(4)), TypeError, r"Pass its dataset: X\.dataset"),
        (pa.table({"a": ["x"], "b": ["y"]}), ValueError, "ColumnTransformer"),
        (torch.ones(4, 3, 8, 8).to_sparse(), ValueError, "X is a tensor that cannot be read"),
        (torch.ones(4, 3, 8, 8, device="meta"), ValueError, "on meta.*make it a dense one"),
        (torch.tensor(1.0), ValueError, r"X has shape \(\)"),
        (TensorDataset(torch.ones(0, 3, 8, 8)), ValueError, "0 sample"),
        (hugging_face().rename_column("photo", "a").add_column("b", ["x"] * 4).remove_columns("a")
         .add_column("c", ["x"] * 4), ValueError, "columns 'b', 'c', and it is not clear which"),
    ],
)  # fmt: skip
def test_an_x_without_positions_or_with_several_columns_says_what_to_pass(X, error, told):
    """As a whole: no row is at fault."""
    with pytest.raises(error, match=told):
        read_images(X)


@pytest.mark.parametrize(
    "X",
    [
        hugging_face(review=["good", "bad", "so", "so"]),
        pa.table({"review": ["good", "bad", "so", "so"]}),
        pa.chunked_array([["good"], ["bad", "so", "so"]]),
        pl.Series(["good", "bad", "so", "so"]),
        pd.Series(["good", "bad", "so", "so"], dtype="string", index=list("abcd")),
        ByIndex(["good", "bad", "so", "so"]),
    ],
)
def test_texts_come_in_the_same_containers(X):
    """Columns of arrow, pandas, polars and Hugging Face, and any sequence."""
    items = read_texts(X)

    assert [items.load(i) for i in range(len(items))] == ["good", "bad", "so", "so"]


def test_a_text_that_cannot_be_taken_out_is_the_error_of_its_row():
    """Whatever a dataset raises."""

    class Broken(ByIndex):
        def __getitem__(self, i):
            if i == 1:
                raise OSError("the disk is gone")
            return self.items[i]

    featurizer = trial.texts()
    with pytest.warns(
        BadItemWarning, match="Item 1 of X could not be taken out of X: OSError: the"
    ):
        rows = featurizer.fit_transform(Broken(["a", "b", "c"]))

    assert np.isnan(rows).all(axis=1).tolist() == [False, True, False]


def test_estimators_take_a_dataset_as_it_is(folder):
    """`ImageFolder` straight into `fit_transform`."""
    featurizer = PretrainedImageFeaturizer(layer="features.1", cache=None, image_size=32)
    rows = featurizer.fit_transform(ImageFolder(folder))

    assert relative_error(rows, featurizer.transform(paths(folder))) < 1e-5
