"""Files in, files of features out: killed anywhere, it continues; no row is lost or made twice."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow import csv
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    SharedFeatureCache,
    featurize,
    memory_cache,
    read_features,
    release,
)
from sklearn_pretrained.exceptions import BadItemWarning, CacheWarning, MissingExtraError
from sklearn_pretrained.files._source import find
from tests.conftest import make_mlp, relative_error

TEXTS = [f"text number {i}" for i in range(11)]


@pytest.fixture(autouse=True)
def _nothing_is_known():
    memory_cache().clear()


@pytest.fixture
def photos(patches, tmp_path):
    """Write a folder of 12 pictures, in folders."""
    top = tmp_path / "photos"
    for i, patch in enumerate(patches[:12]):
        path = top / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(patch).save(path)
    (top / "a" / "notes.txt").write_text("no picture")
    return top


@pytest.fixture
def to(tmp_path):
    return tmp_path / "features"


def images(**parameters):
    return PretrainedImageFeaturizer(
        **{"layer": 0, "image_size": 32, "cache": None, "keep_layers": None, **parameters}
    )


def texts(**parameters):
    return PretrainedTextFeaturizer(layer=0, cache=None, keep_layers=None, **parameters)


def transformed(paths, **parameters):
    return images(**parameters).fit_transform([str(path) for path in paths])


# -- what goes in


def test_a_folder_of_images(photos, to):
    """Keys are paths in the folder; rows are those of `transform`, in their order."""
    done = featurize(photos, images(), to, rows_per_file=5)
    features = read_features(to)
    paths = [photos / key for key in features.keys.tolist()]

    assert (done.rows, done.computed, done.bad, done.files) == (12, 12, 0, 3)
    assert features.keys.tolist() == sorted(
        path.relative_to(photos).as_posix() for path in photos.rglob("*.png")
    )
    assert relative_error(features.X, transformed(paths)) < 1e-6
    assert features.errors == {}


def test_a_glob_of_images(photos, to):
    """Keys are the paths."""
    featurize(f"{photos}/**/1*.png", images(), to)

    assert read_features(to).keys.tolist() == [
        f"{photos}/a/10.png",
        f"{photos}/b/11.png",
    ]


def test_paths_of_tables_in_several_folders_are_not_guessed(photos, to):
    """A relative path would be another picture in another folder; an absolute one is clear."""
    for folder in "ab":
        (photos / folder / "list.csv").write_text("path\n00.png\n")
    with pytest.raises(ValueError, match=r"several folders.*'00.png'.*absolute paths"):
        featurize(photos / "*" / "list.csv", images(), to)

    for folder, name in (("a", "00.png"), ("b", "01.png")):
        (photos / folder / "list.csv").write_text(f"path\n{photos / folder / name}\n")
    featurize(photos / "*" / "list.csv", images(), to)
    expected = transformed([photos / "a" / "00.png", photos / "b" / "01.png"])
    np.testing.assert_array_equal(read_features(to).X, expected)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_table_of_paths(kind, photos, to):
    """Paths are as seen from the table; other columns are carried along."""
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    rows = [{"id": f"00{i}", "file": path, "label": i % 2} for i, path in enumerate(paths)]
    table = photos / f"table.{kind}"
    if kind == "jsonl":
        table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        table.write_text(
            "id,file,label\n" + "".join(f"{','.join(map(str, r.values()))}\n" for r in rows)
        )
    else:
        pq.write_table(pa.Table.from_pylist(rows), table)
    featurize(table, images(), to, column="file", key="id", rows_per_file=5)
    features = read_features(to)

    assert features.keys.tolist() == [row["id"] for row in rows]
    assert features.table.column("file").to_pylist() == paths
    assert [int(label) for label in features.table.column("label").to_pylist()] == [0, 1] * 6
    assert relative_error(features.X, transformed([photos / path for path in paths])) < 1e-6


def test_a_table_of_bytes(photos, to, tmp_path):
    """Which are not copied; rows are numbered where there is no key."""
    paths = sorted(photos.rglob("*.png"))
    table = pa.table({"image": [path.read_bytes() for path in paths], "y": list(range(12))})
    pq.write_table(table, tmp_path / "images.parquet", row_group_size=5)
    featurize(tmp_path / "images.parquet", images(), to, column="image", rows_per_file=7)
    features = read_features(to)

    assert features.keys.tolist() == list(range(12))
    assert features.table.column_names == ["row", "y"]
    assert relative_error(features.X, transformed(paths)) < 1e-6


def test_a_table_of_texts(to, tmp_path):
    """Texts are carried along; what looks like a number is a text."""
    written = [*TEXTS, "007", 'with, a comma and "quotes"']
    csv.write_csv(pa.table({"text": written}), tmp_path / "texts.csv")
    featurize(tmp_path / "texts.csv", texts(), to)
    features = read_features(to)

    assert features.table.column("text").to_pylist() == written
    assert relative_error(features.X, texts().fit_transform(written)) < 1e-6


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
    ],
    ids=str,
)
def test_texts_are_texts_however_arrow_keeps_them(column, to, tmp_path):
    """They are carried along too."""
    pq.write_table(pa.table({"text": column}), tmp_path / "texts.parquet")
    featurize(tmp_path / "texts.parquet", texts(), to)

    assert read_features(to).table.column("text").to_pylist() == TEXTS


def test_a_table_in_one_group_of_rows_does_not_lie_in_memory(tmp_path):
    """Parquet as pandas writes it: all rows are one group."""
    noise = np.random.default_rng(0)
    table = pa.table({"image": [noise.bytes(20_000) for _ in range(4000)]})
    pq.write_table(table, tmp_path / "images.parquet", row_group_size=len(table))
    del table
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    source = find(tmp_path / "images.parquet", column=None, key=None, texts=False)
    rows, most = 0, 0
    for portion in source.portions(100):
        rows += len(portion.X)
        most = max(most, pa.total_allocated_bytes() - before)

    assert rows == 4000
    assert most < 60e6  # of 80 MB


def test_tables_may_have_their_columns_in_another_order(to, tmp_path):
    """Or lack one that is carried along; types are those of the first."""
    pq.write_table(pa.table({"text": TEXTS[:3], "n": pa.array([1, 2, 3])}), tmp_path / "0.parquet")
    other = pa.table({"n": pa.array([4, 5, 6], pa.int32()), "text": TEXTS[3:6]})
    pq.write_table(other, tmp_path / "1.parquet")
    pq.write_table(pa.table({"text": TEXTS[6:8]}), tmp_path / "2.parquet")
    featurize(tmp_path / "*.parquet", texts(), to, column="text", rows_per_file=4)
    table = read_features(to).table

    assert table.column("text").to_pylist() == TEXTS[:8]
    assert table.column("n").to_pylist() == [1, 2, 3, 4, 5, 6, None, None]


def test_several_tables_are_read_one_after_the_other(to, tmp_path):
    """A glob of them; files of features do not end where they do."""
    for i in range(3):
        pq.write_table(pa.table({"text": TEXTS[i * 4 : i * 4 + 4]}), tmp_path / f"{i}.parquet")
    done = featurize(tmp_path / "*.parquet", texts(), to, rows_per_file=5)

    assert done.files == 3
    assert read_features(to).table.column("text").to_pylist() == TEXTS


def test_whatever_transform_takes(to):
    """Numbered by its positions."""
    X = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    import torch

    torch.manual_seed(0)
    ours = ModuleFeaturizer(make_mlp(), cache=None).fit(X)
    featurize(X, ours, to, rows_per_file=4)

    assert relative_error(read_features(to).X, ours.transform(X)) < 1e-6


@pytest.mark.parametrize(
    ("source", "parameters", "said"),
    [
        ("nothing/*.jpg", {}, "No images in"),
        ("table.csv", {"column": "z"}, "has the columns 'a', 'b'. It has no column 'z'"),
        ("table.csv", {}, "Pass the column of the items"),
        ("table.csv", {"column": "a", "key": "z"}, "has no column 'z'"),
        ("rows.csv", {"column": "a"}, "has a column 'row', which is the name of the numbers"),
        ("notes.txt", {}, "neither a folder or glob of images nor a table"),
        ("table.csv", {"column": "a", "dtype": "int8"}, "dtype must be 'float32' or 'float16'"),
        ("table.csv", {"column": "a", "rows_per_file": 0}, "rows_per_file must be a positive"),
    ],
)
def test_what_cannot_be_a_source_is_refused(source, parameters, said, to, tmp_path):
    """With what it is, and what to pass."""
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "rows.csv").write_text("a,row\n1,2\n")
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(ValueError, match=said):
        featurize(tmp_path / source, images(), to, **parameters)


def test_what_cannot_be_written_is_refused(photos, to):
    """Texts of a folder, layers that keep their shape, what is not a featurizer."""
    with pytest.raises(ValueError, match="Texts come from a column of a table"):
        featurize(photos, texts(), to)
    with pytest.raises(ValueError, match="pooling='none'"):
        featurize(photos, images(pooling="none"), to)
    with pytest.raises(TypeError, match="must be a featurizer"):
        featurize(photos, LogisticRegression(), to)
    with pytest.raises(TypeError, match="a path, a glob or an X with a length"):
        featurize(iter([]), images(), to)


def test_without_pyarrow_the_extra_is_named(photos, to, monkeypatch):
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"sklearn-pretrained\[parquet\]"):
        featurize(photos, images(), to)


# -- what comes out


def test_every_file_says_what_it_holds(photos, to):
    """Any reader of Parquet sees lists of a fixed size, and the provenance."""
    featurize(photos, images(layer=[0, 1]), to)
    (path,) = to.glob("part-*.parquet")
    schema = pq.read_schema(path)
    said = json.loads(schema.metadata[b"sklearn_pretrained"])
    kinds = {str(field.type) for field in schema if ":" in field.name}

    assert said["provenance"]["weights"]["sha256"]
    assert [name for name, _ in said["outputs"]] == said["asked"]
    assert len(said["asked"]) == 2
    assert all("float" in kind and "fixed_size_list" in kind for kind in kinds)
    assert "weights" in str(read_features(to).provenance)


def test_layers_can_be_read_apart(photos, to):
    """Names of the columns are those of the featurizer."""
    featurize(photos, images(layer=[1, 0]), to)
    features = read_features(to)
    paths = [photos / key for key in features.keys]
    first, second = features.layers
    fitted = images(layer=[1, 0]).fit([str(paths[0])])

    assert features.names.tolist() == fitted.get_feature_names_out().tolist()
    assert relative_error(features.X, transformed(paths, layer=[1, 0])) < 1e-6
    assert relative_error(read_features(to, layer=second).X, transformed(paths, layer=0)) < 1e-6
    both = read_features(to, layer=[second.rpartition(":")[0], first])
    assert relative_error(both.X, transformed(paths, layer=[0, 1])) < 1e-6
    with pytest.raises(ValueError, match="matches 0 of the layers in this folder"):
        read_features(to, layer="nowhere")


def test_half_precision_takes_half(photos, to):
    """Rounded rows, in a folder that serves nobody else's."""
    featurize(photos, images(), to, dtype="float16", rows_per_file=5)
    features = read_features(to)
    paths = [str(photos / key) for key in features.keys]
    expected = transformed(paths)
    assert features.X.dtype == np.float16
    np.testing.assert_array_equal(features.X, expected.astype(np.float16))

    ours = images(cache=f"{to}/").fit(paths)
    np.testing.assert_allclose(ours.transform(paths), expected, rtol=1e-5)
    assert ours.counts_.computed == 12


def test_numbers_beyond_half_precision_are_refused(to):
    """No silent infinity."""
    import torch

    network = torch.nn.Sequential(torch.nn.Linear(8, 2))
    torch.nn.init.constant_(network[0].weight, 1e5)
    X = np.ones((3, 8), np.float32)
    with pytest.raises(ValueError, match="larger than float16 can hold"):
        featurize(X, ModuleFeaturizer(network, layer="output"), to, dtype="float16")


def test_x_can_lie_on_disk(photos, to):
    """Made once, and mapped."""
    featurize(photos, images(), to, rows_per_file=5)
    mapped = read_features(to, mmap=True)
    again = read_features(to, mmap=True)

    assert isinstance(mapped.X, np.memmap)
    np.testing.assert_array_equal(mapped.X, read_features(to).X)
    np.testing.assert_array_equal(again.X, mapped.X)
    assert len([*to.glob("*.npy")]) == 1


def test_items_that_cannot_be_read_are_in_a_column(photos, to):
    """With the reason; their rows are NaN, and one warning counts them."""
    (photos / "a" / "02.png").write_bytes(b"no picture")
    (photos / "b" / "05.png").write_bytes((photos / "b" / "03.png").read_bytes()[:200])
    with pytest.warns(BadItemWarning, match="2 of 12 items could not be read"):
        done = featurize(photos, images(), to, rows_per_file=5)
    features = read_features(to)
    bad = [features.keys.tolist().index(key) for key in ("a/02.png", "b/05.png")]

    assert done.bad == 2
    assert sorted(features.errors) == bad
    assert features.errors[bad[0]].startswith("a/02.png ")
    assert np.flatnonzero(np.isnan(features.X).any(axis=1)).tolist() == bad
    with pytest.warns(BadItemWarning, match="2 of 12"):
        assert featurize(photos, images(), to, rows_per_file=5).computed == 0


def test_a_file_of_nothing_but_bad_items_stops_nothing(to, tmp_path):
    """Neither the run that wrote it, nor who uses the folder as a cache."""
    pq.write_table(pa.table({"text": [None, None, *TEXTS]}), tmp_path / "texts.parquet")
    with pytest.warns(BadItemWarning, match="2 of 13"):
        done = featurize(tmp_path / "texts.parquet", texts(), to, column="text", rows_per_file=2)

    assert (done.rows, done.bad, done.computed) == (13, 2, 11)
    cached = texts().set_params(cache=f"{to}/").fit(TEXTS)
    cached.transform(TEXTS)
    assert cached.counts_.computed == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits here")
def test_x_that_does_not_fit_on_the_disk_is_an_error(photos, to):
    """And not the end of the process."""
    import resource

    featurize(photos, images(), to)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            read_features(to, mmap=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert [*to.glob("*.npy*")] == [*to.glob(".*.tmp")] == []
    assert read_features(to, mmap=True).X.shape == read_features(to).X.shape


def test_progress_is_shown(photos, to, capsys):
    """With the number of rows, the rate and the time left."""
    featurize(photos, images(), to, verbose=True, rows_per_file=5)
    assert "12/12" in capsys.readouterr().err
    featurize(photos, images(), to, verbose=True, rows_per_file=5)
    assert "12/12" in capsys.readouterr().err


def test_a_fitted_featurizer_is_used_as_it_is(photos, to):
    """Another featurizer than the one that was fitted is never used; it does not change."""
    paths = sorted(map(str, photos.rglob("*.png")))
    ours = images().fit(paths)
    before = dict(vars(ours))
    featurize(photos, ours, to)

    assert vars(ours).keys() == before.keys()
    assert ours.weights_digest_ == read_features(to).provenance.to_dict()["weights"]["sha256"]


# -- again


def test_what_is_finished_is_not_computed_again(photos, to):
    """Nor written again."""
    featurize(photos, images(), to, rows_per_file=5)
    before = {path.name: path.stat().st_mtime_ns for path in to.glob("part-*")}
    done = featurize(photos, images(), to, rows_per_file=5)

    assert (done.rows, done.computed) == (12, 0)
    assert {path.name: path.stat().st_mtime_ns for path in to.glob("part-*")} == before


def test_only_what_changed_is_computed(photos, patches, to):
    """By content: whatever its name and place. What is gone is gone."""
    featurize(photos, images(), to, rows_per_file=5)
    (photos / "a" / "00.png").rename(photos / "b" / "99.png")
    (photos / "b" / "01.png").unlink()
    Image.fromarray(patches[20]).save(photos / "b" / "03.png")
    Image.fromarray(patches[21]).save(photos / "a" / "000.png")
    done = featurize(photos, images(), to, rows_per_file=5)
    features = read_features(to)
    paths = [photos / key for key in features.keys]

    assert (done.rows, done.computed) == (12, 2)
    assert relative_error(features.X, transformed(paths)) < 1e-6
    assert len([*to.glob("part-*")]) == 3


def test_other_features_need_another_folder(photos, to):
    """Nothing of them is removed or mixed."""
    featurize(photos, images(), to)
    with pytest.raises(ValueError, match="holds other features"):
        featurize(photos, images(layer=1), to)
    assert len(read_features(to).X) == 12


def test_a_damaged_file_is_named_and_written_again(photos, to):
    """Its rows alone are computed."""
    featurize(photos, images(), to, rows_per_file=5)
    expected = read_features(to).X
    path = sorted(to.glob("part-*"))[1]
    content = bytearray(path.read_bytes())
    content[content.index(expected[5].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match=f"{path.name} is damaged"):
        read_features(to)
    with pytest.warns(CacheWarning, match=path.name):
        done = featurize(photos, images(), to, rows_per_file=5)

    assert done.computed == 5
    np.testing.assert_allclose(read_features(to).X, expected, rtol=1e-5, atol=1e-6)


def test_what_is_not_finished_is_not_read(photos, to):
    """It says so, and what to do."""
    with pytest.raises(FileNotFoundError, match="holds no features"):
        read_features(to)
    featurize(photos, images(), to, rows_per_file=5)
    (to / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has not finished \(3 files so far\)"):
        read_features(to)
    (to / "manifest.json").write_text('{"format": 1, "rows"')
    with pytest.raises(OSError, match=r"manifest.json is damaged .* Call featurize again"):
        read_features(to)
    featurize(photos, images(), to, rows_per_file=5)
    min(to.glob("part-*")).unlink()
    with pytest.raises(FileNotFoundError, match=r"part-.* is missing. Call featurize again"):
        read_features(to)
    with pytest.raises(NotADirectoryError, match="is a file; features are written to a folder"):
        featurize(photos, images(), to / "manifest.json")


def test_a_search_over_kept_layers_forwards_nothing(photos, to, forwarded):
    """The folder is a cache, also for another process."""
    featurize(photos, images(keep_layers="main"), to, rows_per_file=5)
    release()
    forwarded.clear()
    paths = sorted(map(str, photos.rglob("*.png")))
    pipeline = make_pipeline(images(cache=f"{to}/"), LogisticRegression())
    grid = {"pretrainedimagefeaturizer__layer": [0, 1, 2, -1, "penultimate"]}
    GridSearchCV(pipeline, grid, cv=2).fit(paths, [0, 1] * 6)

    assert sum(forwarded) == 0
    assert SharedFeatureCache(to).stats()["rows"] == 12


# -- killed

PROGRAM = """
import sys, time
from sklearn_pretrained import PretrainedTextFeaturizer, featurize
from sklearn_pretrained.running import _engine
whole = _engine.forward
pause = float(sys.argv[3])
def slow(runner, reading, samples):
    time.sleep(pause)
    return whole(runner, reading, samples)
_engine.forward = slow
ours = PretrainedTextFeaturizer(layer=0, batch_size=4, keep_layers=None)
done = featurize(sys.argv[1], ours, sys.argv[2], rows_per_file=30)
print(done.rows, done.computed)
"""


def started(source, to, pause):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(source), str(to), str(pause)],
        stdout=subprocess.PIPE,
        text=True,
    )


def stored(to):
    """Count the different items whose rows are in any file of a folder."""
    found: set[bytes] = set()
    for path in to.glob("*.parquet"):
        with contextlib.suppress(FileNotFoundError):  # a file may just have been merged
            found.update(pq.read_table(path, columns=["item_digest"]).column(0).to_pylist())
    return len(found)


def test_a_journal_of_several_parts_is_removed(to):
    """A merged file holds rows of several parts, and a run may be killed when it wrote the last."""
    texts().set_params(cache=f"{to}/").fit_transform(TEXTS)
    (journal,) = to.glob("*.parquet")
    content = journal.read_bytes()

    for known in (False, True):
        journal.write_bytes(content)
        done = featurize(TEXTS, texts(), to=to, rows_per_file=4)

        assert done.computed == 0
        kinds = [path.name.partition("-")[0] for path in to.glob("*.parquet")]
        assert kinds == ["part"] * 3, known


@pytest.mark.slow
def test_killed_three_times_it_ends_with_every_row_once(to, tmp_path):
    """What was computed before is not computed again, but for a batch that was under way."""
    written = [f"text number {i % 90}" for i in range(100)]
    pq.write_table(pa.table({"text": written}), tmp_path / "texts.parquet")
    known = 0
    for _ in range(3):
        run = started(tmp_path / "texts.parquet", to, 0.1)
        while stored(to) < known + 12:
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
        known = stored(to)
    assert SharedFeatureCache(to).verify()["damaged"] == 0
    run = started(tmp_path / "texts.parquet", to, 0)
    said, _ = run.communicate(timeout=200)
    rows, computed = map(int, said.split())
    features = read_features(to)

    assert rows == 100
    assert computed == 90 - known  # ten texts occur twice
    assert features.table.column("text").to_pylist() == written
    assert features.keys.tolist() == list(range(100))
    assert relative_error(features.X, texts().fit_transform(written)) < 1e-5
    assert sorted(path.name.partition("-")[0] for path in to.glob("*.parquet")) == ["part"] * 4
