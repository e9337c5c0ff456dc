"""Our adapter beside an engine's bare map over the same network, in turns: seconds and ratio.

    python benchmarks/engines.py                       # in an environment that has the engines
    python benchmarks/engines.py --engines dask spark --images 1000 --rounds 5

The bare function is what a user would write: it opens the pickled featurizer once in a process,
calls `transform`, and adds a column. Each round runs both over the same JPEG files, the order in
turns; rows are compared first. CPU seconds are those of this process and all it started, looked
at five times a second; others on the machine move them less than wall seconds.
"""

import argparse
import io
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from statistics import median

import numpy as np
import psutil
import pyarrow as pa
from PIL import Image
from sklearn.datasets import load_sample_images

from sklearn_pretrained import PretrainedImageFeaturizer

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["PYSPARK_PYTHON"] = sys.executable
WORKERS, BATCH = 2, 50


def jpegs(n):
    """Make n different photographs of 224 x 224 pixels."""
    images, found = load_sample_images().images, []
    for i in range(n):
        top, left = 7 * (i // 2 % 29), 13 * (i // 58 % 32)
        held = io.BytesIO()
        Image.fromarray(images[i % 2][top : top + 224, left : left + 224]).save(held, "JPEG")
        found.append(held.getvalue())
    return found


class Bare:
    """What a user would write; the featurizer is opened once in a process."""

    opened = None

    def __init__(self, sealed):
        self.sealed = sealed

    def rows(self, items):
        if Bare.opened is None:
            Bare.opened = pickle.loads(self.sealed)
        return Bare.opened.transform(items)

    def __call__(self, table):
        rows = self.rows(table.column("content").to_pylist())
        flat = pa.array(rows.reshape(-1))
        return table.append_column(
            "features", pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
        )


def on_ray(items, ours):
    """Two actors."""
    import ray

    from sklearn_pretrained.engines.ray import featurize

    ray.init(num_cpus=3, include_dashboard=False, logging_level="error", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    given = ray.data.from_items(
        [{"id": i, "content": one} for i, one in enumerate(items)], override_num_blocks=8
    ).materialize()
    how = {"compute": ray.data.ActorPoolStrategy(size=WORKERS), "batch_size": BATCH}
    sealed = pickle.dumps(ours)

    def bare():
        return given.map_batches(
            Bare, fn_constructor_args=(sealed,), batch_format="pyarrow", zero_copy_batch=True, **how
        ).to_pandas()

    def adapter():
        return featurize(given, ours, "content", **how).to_pandas()

    return bare, adapter, ray.shutdown


def on_dask(items, ours):
    """Two processes of one thread."""
    import dask
    import dask.dataframe as dd
    import pandas as pd
    from distributed import Client, LocalCluster

    from sklearn_pretrained.engines.dask import featurize

    dask.config.set({"distributed.worker.daemon": True})
    cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)
    content = pd.Series(items, dtype=pd.ArrowDtype(pa.binary()))
    table = pd.DataFrame({"id": range(len(items)), "content": content})
    given = dd.from_pandas(table, npartitions=len(items) // BATCH).persist()
    function = Bare(pickle.dumps(ours))

    def add(part):
        rows = function.rows(part["content"].tolist()) if len(part) else []
        return part.assign(features=list(rows))

    meta = table.head(0).assign(features=pd.Series([], dtype=object))

    def bare():
        return given.map_partitions(add, meta=meta).compute()

    def adapter():
        return featurize(given, ours, "content").compute()

    def close():
        client.close()
        cluster.close()

    return bare, adapter, close


def on_spark(items, ours):
    """Two tasks at a time."""
    from pyspark.sql import SparkSession

    from sklearn_pretrained.engines.spark import featurize

    session = (
        SparkSession.builder.master(f"local[{WORKERS}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH)
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    rows = [(i, bytearray(one)) for i, one in enumerate(items)]
    given = session.createDataFrame(rows, "id int, content binary").repartition(4).cache()
    given.count()
    function = Bare(pickle.dumps(ours))

    def add(batches):
        for batch in batches:
            rows = function.rows(batch.column("content").to_pylist())
            flat = pa.array(rows.reshape(-1))
            lists = pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])
            column = lists.cast(pa.list_(pa.float32()))
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, column], [*batch.schema.names, "features"]
            )

    def bare():
        return given.mapInArrow(add, "id int, content binary, features array<float>").toPandas()

    def adapter():
        return featurize(given, ours, "content").toPandas()

    return bare, adapter, session.stop


def on_datasets(items, ours):
    """One process, as map has by default."""
    import datasets

    from sklearn_pretrained.engines.huggingface import featurize

    datasets.disable_progress_bars()
    datasets.disable_caching()
    given = datasets.Dataset.from_dict({"id": range(len(items)), "content": items})
    given = given.with_format("arrow")
    function = Bare(pickle.dumps(ours))
    how = {"batched": True, "batch_size": BATCH, "load_from_cache_file": False}

    def bare():
        return given.map(function, **how).with_format("pandas")[:]

    def adapter():
        found = featurize(given, ours, "content", batch_size=BATCH, load_from_cache_file=False)
        return found.with_format("pandas")[:]

    return bare, adapter, list


ENGINES = {"ray": on_ray, "dask": on_dask, "spark": on_spark, "datasets": on_datasets}


def look(seen):
    """Note the CPU seconds of this process and its descendants; those that ended stay noted."""
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        seen[process.pid, process.create_time()] = times.user + times.system


def timed(work):
    seen, over = {}, threading.Event()
    look(seen)
    before, wall = sum(seen.values()), time.perf_counter()

    def keep_looking():
        while not over.wait(0.2):
            look(seen)

    looking = threading.Thread(target=keep_looking)
    looking.start()
    work()
    took = time.perf_counter() - wall
    over.set()
    looking.join()
    look(seen)
    return sum(seen.values()) - before, took


def main(options):
    warnings.simplefilter("ignore")
    items = jpegs(options.images)
    ours = PretrainedImageFeaturizer(cache=None).fit(items[:1])
    expected = ours.transform(items)
    bare, adapter, close = ENGINES[options.engine](items, ours)
    for work in (bare, adapter):  # also starts the workers, and loads the network in them
        found = work().sort_values("id")
        rows = np.stack([np.asarray(row) for row in found["features"]])
        assert np.abs(rows - expected).max() < 1e-4 * np.abs(expected).max()
    taken = []
    for round_ in range(options.rounds):
        pair = {}
        for work in (bare, adapter) if round_ % 2 else (adapter, bare):
            pair[work] = timed(work)
        taken.append((*pair[bare], *pair[adapter]))
    cpu = median(one[2] / one[0] for one in taken)
    wall = median(one[3] / one[1] for one in taken)
    columns = [f"{median(column):.1f}" for column in zip(*taken, strict=True)]
    print(options.engine, *columns, f"{cpu:.3f}", f"{wall:.3f}", sep=" | ", flush=True)
    close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engines", nargs="*", default=[*ENGINES], choices=ENGINES)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.engine:
        main(given)
    else:
        heads = "engine | bare CPU s | bare s | ours CPU s | ours s | CPU ratio | wall ratio"
        print(heads, flush=True)
        for name in given.engines:
            words = ["--engine", name, "--images", str(given.images)]
            words += ["--rounds", str(given.rounds)]
            subprocess.run([sys.executable, __file__, *words], check=True)
