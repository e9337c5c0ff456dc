"""Every engine over 2,000 pictures and 2,000 texts in three cuts, and with 20 killed workers."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dask import config

from sklearn_pretrained.engines import dask as on_dask
from sklearn_pretrained.engines import huggingface as on_datasets
from sklearn_pretrained.engines import ray as on_ray
from sklearn_pretrained.engines import spark as on_spark
from tests.engines import claims, test_dask, test_huggingface, test_ray, test_spark, things
from tests.engines.test_dask import client
from tests.engines.test_ray import cluster
from tests.engines.test_spark import spark

__all__ = ["client", "cluster", "spark"]  # fixtures

pytestmark = [*test_dask.pytestmark, *test_spark.pytestmark]
N, KILLS, BATCH = 2000, 20, 16
# All that waits for a worker counts as its task when it dies, and Dask gives up after three.
config.set({"distributed.scheduler.allowed-failures": KILLS})
ROOT = Path(__file__).parents[2]

Compute = Callable[[Any, Any, Sequence[Any], Any], tuple[Sequence[int], Sequence[Any]]]


def by_ray(_cluster, featurizer, items, cut):
    blocks, batch = cut
    found = on_ray.featurize(
        test_ray.dataset(items, blocks),
        featurizer,
        "content",
        compute=test_ray.pool(),
        batch_size=batch,
    ).to_pandas()
    return found["id"].tolist(), found["features"].tolist()


def by_dask(_client, featurizer, items, partitions):
    found = on_dask.featurize(test_dask.frame(items, partitions), featurizer, "content").compute()
    return found["id"].tolist(), found["features"].tolist()


def by_spark(session, featurizer, items, cut):
    partitions, batch = cut
    session.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)
    ids, rows = test_spark.collected(
        on_spark.featurize(test_spark.frame(session, items, partitions), featurizer, "content")
    )
    return ids, [row.features for row in rows]


def by_datasets(_nothing, featurizer, items, batch):
    given = test_huggingface.dataset(items) if isinstance(items[0], bytes) else _texts(items)
    column = given.column_names[1]
    found = on_datasets.featurize(given, featurizer, column, batch_size=batch, num_proc=2)
    return found["id"][:], found["features"][:]


def _texts(items):
    return test_huggingface.Dataset.from_dict({"id": [*range(len(items))], "text": list(items)})


class Engine(NamedTuple):
    """How an engine is asked, and ways to cut the data."""

    compute: Compute
    fixture: str
    cuts: tuple[Any, ...]
    survives: Any


ENGINES = {
    "ray": Engine(by_ray, "cluster", ((2, 7), (20, BATCH), (9, None)), (50, BATCH)),
    "dask": Engine(by_dask, "client", (2, 13, 125), 125),
    "spark": Engine(by_spark, "spark", ((2, 100), (20, BATCH), (3, 10_000)), (20, BATCH)),
    "datasets": Engine(by_datasets, "tmp_path", (7, 100, 1000), None),
}


@functools.cache
def texts() -> list[str]:
    """Return 2,000 different lines of this project's pages."""
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
    lines = [line.strip() for page in pages for line in page.read_text("utf-8").splitlines()]
    found = [line for line in dict.fromkeys(lines) if len(re.findall(r"\w+", line)) > 2]
    assert len(found) >= N
    return found[:N]


@functools.cache
def expected(kind: str) -> Any:
    """Return what `transform` gives."""
    featurizer, items = KINDS[kind]()
    return featurizer.transform(items)


KINDS = {
    "pictures": lambda: (things.featurizer(preprocessing=things.prepare_photo), photos()),
    "texts": lambda: (things.text_featurizer(texts()), texts()),
}


@functools.cache
def photos() -> list[bytes]:
    """Return 2,000 different cuts of photographs."""
    return [things.photo(i) for i in range(N)]


@pytest.mark.parametrize("cut", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ENGINES)
def test_rows_do_not_depend_on_the_cut(name, kind, cut, request):
    """All of them, once, equal to 1e-5; each worker loads the network once."""
    engine = ENGINES[name]
    running = request.getfixturevalue(engine.fixture)
    featurizer, items = KINDS[kind]()
    things.clear_log()

    ids, rows = engine.compute(running, featurizer, items, engine.cuts[cut])

    error = claims.equal(ids, rows, expected(kind))
    loads, _ = things.read_log()
    print(f"\n{name}, {kind}, cut {engine.cuts[cut]}: {len(ids)} rows, error {error:.1e}, {loads}")
    assert set(loads.values()) <= {1}


@pytest.mark.parametrize("name", ["ray", "dask", "spark"])
def test_killed_workers_cost_a_batch_each(name, request, tmp_path):
    """Twenty are killed; all rows come once, and then none is computed again."""
    engine = ENGINES[name]
    running = request.getfixturevalue(engine.fixture)

    def compute(featurizer, pictures):
        return engine.compute(running, featurizer, pictures, engine.survives)

    again = claims.survives(compute, tmp_path / "rows", kills=KILLS, n=N, batch=BATCH)
    print(f"\n{name}: {KILLS} kills, {N} rows once, {again} computed again")
