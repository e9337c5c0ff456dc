"""Files are read once in a process, and a changed one is read again."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.exceptions import BadItemError
from sklearn_pretrained.inputs import _contents, _held, _known_files, read_images
from sklearn_pretrained.process import _file_stamp

pytestmark = pytest.mark.skipif(
    not _known_files._TELLS, reason="this system keeps no time of a file's last change"
)
GRAIN = 0.05
"""Seconds, longer than the clock of any local file system stands still."""


@pytest.fixture(autouse=True)
def _soon_old(monkeypatch):
    _known_files._known.clear()
    monkeypatch.setattr(_file_stamp, "YOUNG", GRAIN)


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """Collect the paths of files that are read."""
    found: list[str] = []
    whole = _contents.read_file

    def counting(path):
        found.append(path)
        return whole(path)

    monkeypatch.setattr(_contents, "read_file", counting)
    return found


def write_in_place(path: Path, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.write(data)
        file.truncate()


def write_in_place_and_date_back(path: Path, data: bytes) -> None:
    then = path.stat()
    write_in_place(path, data)
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def replace(path: Path, data: bytes) -> None:
    other = path.with_suffix(".other")
    other.write_bytes(data)
    other.replace(path)


def replace_by_a_copy_of_the_same_date(path: Path, data: bytes) -> None:
    other = path.with_suffix(".other")
    other.write_bytes(data)
    shutil.copystat(path, other)
    other.replace(path)


def write_through_a_link(path: Path, data: bytes) -> None:
    link = path.with_suffix(".link")
    link.unlink(missing_ok=True)
    os.link(path, link)
    write_in_place_and_date_back(link, data)


WAYS = [
    write_in_place,
    write_in_place_and_date_back,
    replace,
    replace_by_a_copy_of_the_same_date,
    write_through_a_link,
]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from(WAYS), st.binary(min_size=4, max_size=4), st.booleans()),
        min_size=1,
        max_size=3,
    )
)
def test_a_changed_file_is_never_missed(changes):
    """However it is written, of the same size and date, at once or after a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo")
        path.write_bytes(b"abcd")
        for write, data, waits in changes:
            if waits:
                time.sleep(1.5 * GRAIN)
            read_images([path]).digest(0)
            write(path, data)

            assert read_images([path]).digest(0) == read_images([path.read_bytes()]).digest(0)


def test_an_unchanged_file_is_read_once(tmp_path, reads):
    """Its digest is that of its bytes; what they mean is part of it."""
    path = tmp_path / "photo"
    path.write_bytes(b"abcd")
    time.sleep(2 * GRAIN)
    expected = read_images([b"abcd"]).digest(0)

    assert [read_images([p]).digest(0) for p in (path, path, str(path))] == [expected] * 3
    assert len(reads) == 1
    assert read_images([path], value_range=(0, 9)).digest(0) != expected


def test_a_file_that_is_young_is_read_again(tmp_path, reads, monkeypatch):
    """It may change within one tick of its file system's clock, and look the same."""
    monkeypatch.setattr(_file_stamp, "YOUNG", 60.0)
    path = tmp_path / "photo"
    path.write_bytes(b"abcd")

    assert read_images([path]).digest(0) == read_images([path]).digest(0)
    assert len(reads) == 2


def test_what_is_not_a_file_is_not_opened(tmp_path):
    """Its error is the same whether digests are known or not, and a pipe is not waited for."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "nothing", "\0"):
        assert _known_files.place_of(path, "file") is None
        with pytest.raises(BadItemError):
            read_images([path]).digest(0)


def test_a_known_file_that_changes_before_it_is_decoded_is_noticed(tmp_path):
    """No row is stored under the name of another."""
    path = tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(path)
    time.sleep(2 * GRAIN)
    read_images([path]).digest(0)
    items = read_images([path])
    items.digest(0)
    Image.new("RGB", (8, 8), "red").save(path)

    with pytest.raises(BadItemError, match="changed while"):
        items.load(0)


def test_few_are_remembered(tmp_path, monkeypatch):
    """The oldest are forgotten first."""
    monkeypatch.setattr(_known_files, "_MOST", 3)
    paths = [tmp_path / str(i) for i in range(5)]
    for path in paths:
        path.write_bytes(b"abcd")
    time.sleep(2 * GRAIN)
    for path in paths:
        read_images([path]).digest(0)

    assert [
        _known_files.known(_known_files.place_of(p, "file:None")) is not None for p in paths
    ] == [
        *[False] * 2,
        *[True] * 3,
    ]


def test_a_search_reads_each_photograph_once(tmp_path, patches, reads, monkeypatch):
    """Whatever the folds and candidates, while the bytes of a window fit into memory."""
    assert _held.MOST_BYTES > 1 << 20
    paths = []
    for i, patch in enumerate(patches[:12]):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(np.asarray(patch)).save(paths[-1])
    time.sleep(2 * GRAIN)
    featurizer = PretrainedImageFeaturizer(image_size=64)
    pipeline = Pipeline([("featurizer", featurizer), ("head", LogisticRegression())])
    grid = {"featurizer__layer": ["features.3", "features.6"], "head__C": [0.1, 1.0]}

    GridSearchCV(pipeline, grid, cv=3).fit(paths, [0, 1] * 6)

    assert sorted(reads) == sorted(paths)
