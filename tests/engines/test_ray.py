"""Ray Data on two nodes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

ray = pytest.importorskip("ray", reason="Ray runs in the environment of the engines")
pytest.importorskip("ray.data", reason="Ray runs in the environment of the engines")

from sklearn_pretrained import PretrainedImageFeaturizer
from sklearn_pretrained.engines.ray import featurize
from tests.engines import claims, pages, things

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
BATCH = 16
WORKERS = 2


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    ray.init(address=nodes.address, logging_level="error")
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def dataset(pictures, blocks):
    items = [{"id": i, "content": picture} for i, picture in enumerate(pictures)]
    return ray.data.from_items(items, override_num_blocks=blocks)


def pool(size=WORKERS):
    return ray.data.ActorPoolStrategy(size=size)


@pytest.mark.parametrize(("blocks", "batch"), [(2, 7), (5, BATCH), (9, None)])
def test_rows_do_not_depend_on_the_cut(cluster, blocks, batch):
    """They are those of `transform`, all of them, once; each actor loads the network once."""
    pictures = things.pictures(90)
    expected = things.featurizer().transform(pictures)

    found = featurize(
        dataset(pictures, blocks), things.featurizer(), "content", compute=pool(), batch_size=batch
    ).to_pandas()

    claims.equal(found["id"].tolist(), found["features"].tolist(), expected)
    assert found["item_error"].isna().all()
    claims.loaded_once()


def test_a_task_is_small(cluster):
    """It carries the recipe, and no network."""
    lazy = featurize(dataset(things.pictures(1), 1), things.featurizer(), "content")

    operator = lazy._logical_plan.dag
    carried = (operator.fn, operator.fn_constructor_args)

    assert len(ray.cloudpickle.dumps(carried)) <= claims.LARGEST_TASK


def test_predictions_and_what_cannot_be_read(cluster):
    """A pipeline predicts; a bad item is null with its reason, and stops nothing."""
    pictures = things.pictures(20)
    pipeline = claims.pipeline(pictures)
    items = [*pictures, b"no picture", None]

    found = featurize(
        dataset(items, 3), pipeline, "content", method="predict", compute=pool(1)
    ).to_pandas()

    found = found.sort_values("id")
    assert found["prediction"].tolist()[:20] == pipeline.predict(pictures).tolist()
    assert found["prediction"].isna().tolist()[20:] == [True, True]
    reasons = found["item_error"].tolist()[20:]
    assert reasons[0].startswith("The item could not be read as an image")
    assert reasons[1] == "The item is missing"


def test_arrays_of_ray_are_items(cluster):
    """Tensors, as `read_images` gives them."""
    arrays = np.random.default_rng(0).integers(0, 256, (10, 12, 12, 3), np.uint8)

    found = featurize(ray.data.from_numpy(arrays), things.featurizer(), "data", compute=pool(1))
    rows = found.to_pandas()["features"].tolist()

    claims.equal(range(10), rows, things.featurizer().transform(list(arrays)))


def test_killed_actors_cost_a_batch_each(cluster, tmp_path):
    """Ray starts others, which find in the folder what had been computed."""

    def compute(featurizer, pictures):
        found = featurize(
            dataset(pictures, 10), featurizer, "content", compute=pool(), batch_size=BATCH
        ).to_pandas()
        return found["id"].tolist(), found["features"].tolist()

    claims.survives(compute, tmp_path / "rows", kills=3, n=320, batch=BATCH)


def test_a_search_runs_on_the_cluster(cluster, tmp_path):
    """By joblib's backend; with a folder as the cache, workers share the rows."""
    from ray.util.joblib import register_ray

    register_ray()
    claims.searches(tmp_path / "rows", n_jobs=WORKERS, backend="ray")


def test_the_lines_of_the_page_run(cluster, tmp_path, monkeypatch):
    """And write what any reader of Parquet reads."""
    monkeypatch.chdir(tmp_path)

    photos = pages.run_block("ray")["photos"]

    assert photos.count() == 20
    assert pq.read_table("features-ray").num_rows == 20


DESK = """
import sys, json
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn_pretrained import PretrainedImageFeaturizer, SharedFeatureCache
from tests.engines import things
cache = SharedFeatureCache(sys.argv[1])
featurizer = PretrainedImageFeaturizer(image_size=32, cache=cache)
grid = {"pretrainedimagefeaturizer__layer": [0.2, 0.4, 0.6, 0.8, 1.0]}
search = GridSearchCV(make_pipeline(featurizer, LogisticRegression(max_iter=500)), grid, cv=2)
search.fit(things.pictures(24), [0, 1] * 12)
print(json.dumps(cache.stats()))
"""


def test_a_search_at_the_desk_forwards_nothing(cluster, tmp_path):
    """Workers of the cluster kept all main layers; a search over five of them only reads."""
    pictures = things.pictures(24)
    kept = PretrainedImageFeaturizer(
        image_size=32, cache=f"{tmp_path}/rows/", keep_layers="main"
    ).fit(pictures)

    featurize(dataset(pictures, 4), kept, "content", compute=pool()).materialize()
    done = subprocess.run(
        [sys.executable, "-c", DESK, str(tmp_path / "rows")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=300,
        check=True,
    )

    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["forwards"] == 0
    assert counts["misses"] == 0
    assert counts["hits"] > 0
