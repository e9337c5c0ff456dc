"""Hugging Face datasets, in files and streamed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

datasets = pytest.importorskip("datasets", reason="the test extra brings it")

from datasets import (
    Dataset,
    DatasetDict,
    Features,
    Image,
    IterableDatasetDict,
    Value,
    concatenate_datasets,
)

from sklearn_pretrained import PretrainedTextFeaturizer, release
from sklearn_pretrained.engines.huggingface import featurize
from tests.engines import claims, pages, things

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _quiet():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def dataset(pictures):
    cells = [{"bytes": picture, "path": None} for picture in pictures]
    kinds = Features({"id": Value("int64"), "image": Image()})
    return Dataset.from_dict({"id": list(range(len(cells))), "image": cells}, features=kinds)


@pytest.mark.parametrize("batch", [7, 16, 1000])
@pytest.mark.parametrize("streamed", [False, True])
def test_rows_do_not_depend_on_the_cut(batch, streamed):
    """They are those of `transform`, all of them, once; images stay images."""
    pictures = things.pictures(90)
    given = dataset(pictures).to_iterable_dataset() if streamed else dataset(pictures)

    found = featurize(given, things.featurizer(), "image", batch_size=batch)

    rows = list(found)
    expected = things.featurizer().transform(pictures)
    claims.equal([row["id"] for row in rows], [row["features"] for row in rows], expected)
    assert rows[0]["image"].size == (12, 12)
    assert {row["item_error"] for row in rows} == {None}
    assert found.features["features"].length == 6


def test_the_format_is_kept():
    """What was NumPy stays NumPy."""
    given = dataset(things.pictures(4)).with_format("numpy")

    found = featurize(given, things.featurizer(), "image")

    assert found["features"][:].shape == (4, 6)
    assert found.format["type"] == "numpy"


def test_texts_and_predictions_and_what_cannot_be_read():
    """A bad item is null with its reason, and stops nothing."""
    pictures = things.pictures(20)
    pipeline = claims.pipeline(pictures)
    texts = [f"text number {i}" for i in range(9)]
    featurizer = PretrainedTextFeaturizer(layer=0).fit(texts)

    found = featurize(dataset([*pictures, b"bad"]), pipeline, "image", method="predict")
    rows = featurize(Dataset.from_dict({"text": [*texts, None]}), featurizer, "text")

    assert found["prediction"][:20] == pipeline.predict(pictures).tolist()
    assert found["prediction"][20] is None
    assert found["item_error"][20].startswith("The item could not be read as an image")
    claims.equal(range(9), rows["features"][:9], featurizer.transform(texts))
    assert rows["features"][9] is None
    assert rows["item_error"][9] == "The item is missing"


PROGRAM = """
import sys
from datasets import load_dataset
from sklearn_pretrained.engines.huggingface import featurize
from tests.engines import things
given = load_dataset("parquet", data_files=sys.argv[1], cache_dir=sys.argv[2], split="train")
found = featurize(given, things.featurizer(), "image")
noted = sum(" rows " in path.name for path in things.Path(things.PLACE).iterdir())
print(found._fingerprint, len(found), noted)
"""


def test_another_process_finds_the_result(tmp_path):
    """The fingerprint says what decides the rows, so the second run computes none."""
    dataset(things.pictures(12)).to_parquet(tmp_path / "data.parquet")
    arguments = [str(tmp_path / "data.parquet"), str(tmp_path / "cache")]

    first, second = (
        subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=300,
        ).stdout.split()
        for _ in range(2)
    )

    assert second == first  # and no more rows were noted


def test_processes_of_map_give_the_same_rows():
    """With `num_proc`, each loads the network once."""
    release()  # or they would have what this process has loaded
    things.clear_log()
    pictures = things.pictures(24)

    found = featurize(dataset(pictures), things.featurizer(), "image", num_proc=2, batch_size=4)

    expected = things.featurizer().transform(pictures)
    claims.equal(found["id"][:], found["features"][:], expected)
    claims.loaded_once()


@pytest.mark.parametrize("streamed", [False, True])
def test_splits_are_computed_one_by_one(streamed):
    """An empty one has the columns too, so that splits can be joined."""
    items = dataset(things.pictures(4))
    splits = DatasetDict({"train": items, "test": items.select([])})
    given = splits if not streamed else IterableDatasetDict({"train": items.to_iterable_dataset()})

    found = featurize(given, things.featurizer(), "image")

    assert type(found) is type(given)
    assert len([*found["train"]]) == 4
    if not streamed:
        assert found["test"].features == found["train"].features
        assert len(concatenate_datasets([found["test"], found["train"]])) == 4


def test_the_lines_of_the_page_run(tmp_path, monkeypatch):
    """And give an array."""
    monkeypatch.chdir(tmp_path)

    names = pages.run_block("huggingface")

    assert names["X"].shape[0] == 20


def test_a_result_that_datasets_keeps_is_served_for_nothing_else():
    """How items are read, and the options that shape a result, are part of its name."""
    given, items = dataset(things.pictures(4)), things.pictures(4)
    wider = things.featurizer().set_params(value_range=(0, 2)).fit(items)
    found = [
        featurize(given, things.featurizer(), "image"),
        featurize(given, things.featurizer(), "image", batch_size=2),
        featurize(given, things.featurizer(), "image", remove_columns=["image"]),
        featurize(given, wider, "image"),
    ]

    assert len({one._fingerprint for one in found[:2]}) == 1
    assert len({one._fingerprint for one in found}) == 3
    assert "image" not in found[2].column_names
