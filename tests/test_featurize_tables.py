"""Tables whose later rows or files are unlike the first: nothing is lost, or it is said."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sklearn_pretrained import (
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    featurize,
    read_features,
)


def texts():
    return PretrainedTextFeaturizer(layer=0, cache=None, keep_layers=None)


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_column_of_a_later_table_is_not_left_out_in_silence(kind, tmp_path):
    """The columns are those of the first file; one that lacks some has nulls there."""
    first, second = tmp_path / f"1.{kind}", tmp_path / f"2.{kind}"
    rows = {"text": ["on a mat"], "more": ["x"]}
    if kind == "parquet":
        pq.write_table(pa.table({"text": ["the cat"]}), first)
        pq.write_table(pa.table(rows), second)
    elif kind == "csv":
        first.write_text("text\nthe cat\n")
        second.write_text("text,more\non a mat,x\n")
    else:
        first.write_text('{"text": "the cat"}\n')
        second.write_text('{"text": "on a mat", "more": "x"}\n')

    with pytest.raises(
        ValueError, match=r"2\.\w+' (has columns.*'more'|cannot be read as a table)"
    ):
        featurize(str(tmp_path / f"*.{kind}"), texts(), tmp_path / "to", column="text")
    second.rename(tmp_path / f"0.{kind}")
    featurize(str(tmp_path / f"*.{kind}"), texts(), tmp_path / "to", column="text")

    assert read_features(tmp_path / "to").table.column("more").to_pylist() == ["x", None]


@pytest.mark.parametrize("late", [{"more": 1}, {"note": "x"}, {"n": 1.5}])
def test_lines_that_say_more_than_the_first_ones_are_an_error(late, tmp_path):
    """A name or a type that comes late in a file, with the file."""
    path = tmp_path / "a.jsonl"
    line = json.dumps({"text": "the cat", "n": 1, "note": None, "filler": "." * 500})
    path.write_text(f"{line}\n" * 3000 + json.dumps({"text": "on a mat", **late}) + "\n")

    with pytest.raises(ValueError, match=r"a\.jsonl' cannot be read as a table of 'text', 'n'"):
        featurize(path, texts(), tmp_path / "to", column="text")


def test_keys_that_are_missing_do_not_round_the_others(tmp_path):
    """Numbers beyond 2⁵³ stay what they are."""
    numbers = [2**60 + 1, None, 3]
    pq.write_table(
        pa.table({"text": ["the cat", "on", "a mat"], "id": numbers}), tmp_path / "a.parquet"
    )
    featurize(tmp_path / "a.parquet", texts(), tmp_path / "to", column="text", key="id")

    assert read_features(tmp_path / "to").keys.tolist() == numbers


def test_a_column_of_another_type_is_written_anew(tmp_path):
    """So that all files of the folder can be read together."""
    for kind, last in ((pa.int32(), "sat"), (pa.int64(), "slept")):
        columns = {"text": ["the cat", "on", "a mat", last], "n": pa.array([1, 2, 3, 4], kind)}
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        featurize(tmp_path / "a.parquet", texts(), tmp_path / "to", column="text", rows_per_file=2)

        assert read_features(tmp_path / "to").table.schema.field("n").type == kind


def test_a_name_that_is_not_utf8_is_told_before_anything_is_computed(tmp_path):
    """Arrow's strings cannot hold it; any other name can be one."""
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "é 日本.png")
    featurizer = PretrainedImageFeaturizer(layer=0, image_size=32, cache=None, keep_layers=None)
    featurize(tmp_path, featurizer, tmp_path / "to")
    assert read_features(tmp_path / "to").keys.tolist() == ["é 日本.png"]
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "png")

    with pytest.raises(ValueError, match=r"The name of '.*caf\\udce9.png' is not valid UTF-8"):
        featurize(tmp_path, featurizer, tmp_path / "to")
