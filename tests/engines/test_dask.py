"""Dask on processes of this machine."""

from __future__ import annotations

import pickle
from functools import partial

import pytest

pytest.importorskip("distributed", reason="Dask runs in the environment of the engines")
pandas = pytest.importorskip("pandas", reason="Dask's frames are those of pandas")

import dask.dataframe
import pyarrow as pa
import pyarrow.parquet as pq
from distributed import Client, LocalCluster

from sklearn_pretrained.engines.dask import featurize
from tests.engines import claims, pages, things

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning:distributed.*"),
]
WORKERS = 2


@pytest.fixture(scope="module")
def client():
    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=WORKERS, **options) as cluster, Client(cluster) as found:
        yield found


def frame(items, partitions):
    # Dask turns bytes of no type into strings.
    kind = pa.string() if isinstance(items[0], str) else pa.binary()
    content = pandas.Series(items, dtype=pandas.ArrowDtype(kind))
    table = pandas.DataFrame({"id": range(len(items)), "content": content})
    return dask.dataframe.from_pandas(table, npartitions=partitions, sort=False)


@pytest.mark.parametrize("partitions", [2, 5, 13])
def test_rows_do_not_depend_on_the_cut(client, partitions):
    """They are those of `transform`, all of them, once; each worker loads the network once."""
    pictures = things.pictures(90)
    expected = things.featurizer().transform(pictures)

    lazy = featurize(frame(pictures, partitions), things.featurizer(), "content")
    found = lazy.compute()

    assert lazy.dtypes.equals(found.dtypes)
    claims.equal(found["id"].tolist(), found["features"].tolist(), expected)
    assert found["item_error"].isna().all()
    claims.loaded_once()


def test_types_are_known_without_data_and_tasks_are_small():
    """No item is read to know them; a task carries the recipe, and no network."""
    parts = dask.dataframe.from_map(
        partial(pandas.DataFrame, columns=["content"]),
        [[]],
        meta=pandas.DataFrame({"content": pandas.Series([], dtype=object)}),
    )

    featurizer = things.featurizer()
    before = things.read_log()

    lazy = featurize(parts, featurizer, "content")

    assert str(lazy.dtypes["features"]) == "fixed_size_list<item: float>[6][pyarrow]"
    assert things.read_log() == before
    assert len(pickle.dumps(dict(lazy.__dask_graph__()))) <= claims.LARGEST_TASK


def test_predictions_and_what_cannot_be_read(client):
    """A pipeline predicts; a bad item is null with its reason, and stops nothing."""
    pictures = things.pictures(20)
    pipeline = claims.pipeline(pictures)

    asked = frame([*pictures, b"no picture", None], 3)
    found = featurize(asked, pipeline, "content", method="predict").compute()
    likely = featurize(asked, pipeline, "content", method="predict_proba", to="p").compute()

    assert found["prediction"].tolist()[:20] == pipeline.predict(pictures).tolist()
    assert found["prediction"].isna().tolist()[20:] == [True, True]
    assert found["item_error"].tolist()[21] == "The item is missing"
    assert len(likely["p"].iloc[0]) == 2


def test_a_search_runs_on_the_cluster(client, tmp_path):
    """By joblib's backend; with a folder as the cache, workers share the rows."""
    claims.searches(tmp_path / "rows", n_jobs=-1, backend="dask")


def test_killed_workers_cost_a_partition_each(client, tmp_path):
    """Dask starts others, which find in the folder what had been computed."""

    def compute(featurizer, pictures):
        found = featurize(frame(pictures, 20), featurizer, "content").compute()
        return found["id"].tolist(), found["features"].tolist()

    claims.survives(compute, tmp_path / "rows", kills=3, n=320, batch=16)


def test_the_lines_of_the_page_run(client, tmp_path, monkeypatch):
    """And write what Arrow reads."""
    monkeypatch.chdir(tmp_path)

    pages.run_block("dask")

    written = pq.read_table("features-dask")
    assert written.num_rows == written["item_error"].null_count == 20
