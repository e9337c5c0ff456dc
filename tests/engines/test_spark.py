"""Spark on two cores of this machine."""

from __future__ import annotations

import os
import shutil
import sys

import pyarrow.parquet as pq
import pytest

pytest.importorskip("pyspark", reason="Spark runs in the environment of the engines")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

from pyspark.sql import SparkSession

from sklearn_pretrained import PretrainedTextFeaturizer
from sklearn_pretrained.engines.spark import featurize, spark_udf
from tests.engines import claims, pages, things

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning:pyspark.*"),
]


@pytest.fixture(scope="module")
def spark():
    # Workers are the first python3 of PATH otherwise, which may be of another environment.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    found = (
        SparkSession.builder.master("local[2,8]")  # a task may fail seven times
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    found.sparkContext.setLogLevel("OFF")
    yield found
    found.stop()


def frame(spark, items, partitions):
    kind = "string" if isinstance(items[0], str) else "binary"
    rows = [(i, bytearray(x) if isinstance(x, bytes) else x) for i, x in enumerate(items)]
    return spark.createDataFrame(rows, f"id int, content {kind}").repartition(partitions)


def collected(found):
    rows = sorted(found.collect())
    return [row.id for row in rows], rows


@pytest.mark.parametrize(("partitions", "batch"), [(2, 7), (5, 16), (3, 10_000)])
def test_rows_do_not_depend_on_the_cut(spark, partitions, batch):
    """They are those of `transform`, all of them, once; a worker loads the network once."""
    pictures = things.pictures(90)
    expected = things.featurizer().transform(pictures)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)

    ids, rows = collected(
        featurize(frame(spark, pictures, partitions), things.featurizer(), "content")
    )

    claims.equal(ids, [row.features for row in rows], expected)
    assert {row.item_error for row in rows} == {None}
    claims.loaded_once()


def test_a_column_of_texts_by_a_function(spark):
    """`spark_udf` gives array<float>, null where a text is missing, in SQL too."""
    texts = [f"text number {i}" for i in range(20)]
    featurizer = PretrainedTextFeaturizer(layer=0).fit(texts)
    asked = frame(spark, [*texts, None], 2)
    asked.createOrReplaceTempView("texts")
    spark.udf.register("features", spark_udf(featurizer))

    found = asked.select("id", spark_udf(featurizer)("content").alias("features"))
    by_sql = spark.sql("SELECT id, features(content) AS features FROM texts")

    assert found.schema["features"].dataType.simpleString() == "array<float>"
    ids, rows = collected(found)
    assert rows == collected(by_sql)[1]
    claims.equal(ids[:-1], [row.features for row in rows[:-1]], featurizer.transform(texts))
    assert rows[-1].features is None


def test_files_of_images(spark, tmp_path):
    """Their bytes, as `binaryFile` reads them, and their paths give the same rows."""
    pictures = things.pictures(6)
    for i, picture in enumerate(pictures):
        (tmp_path / f"{i}.png").write_bytes(picture)
    files = spark.read.format("binaryFile").load(str(tmp_path))
    paths = spark.createDataFrame([(str(tmp_path / f"{i}.png"),) for i in range(6)], "path string")

    by_bytes = featurize(files.select("path", "content"), things.featurizer(), "content").collect()
    by_paths = featurize(paths, things.featurizer(), "path").collect()

    expected = things.featurizer().transform(pictures)
    for rows in (by_bytes, by_paths):
        ids = [int(row.path[-5]) for row in rows]
        claims.equal(ids, [row.features for row in rows], expected)


def test_predictions_and_what_cannot_be_read(spark):
    """A pipeline predicts; a bad item is null with its reason, and stops nothing."""
    pictures = things.pictures(20)
    pipeline = claims.pipeline(pictures)

    asked = frame(spark, [*pictures, b"no picture", None], 3)
    rows = collected(featurize(asked, pipeline, "content", method="predict"))[1]

    assert [row.prediction for row in rows[:20]] == pipeline.predict(pictures).tolist()
    assert [row.prediction for row in rows[20:]] == [None, None]
    assert rows[20].item_error.startswith("The item could not be read as an image")
    assert rows[21].item_error == "The item is missing"


def test_killed_workers_cost_a_task_each(spark, tmp_path):
    """Spark starts others, which find in the folder what had been computed."""
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 16)

    def compute(featurizer, pictures):
        ids, rows = collected(featurize(frame(spark, pictures, 4), featurizer, "content"))
        return ids, [row.features for row in rows]

    claims.survives(compute, tmp_path / "rows", kills=3, n=320, batch=16)


def test_the_lines_of_the_page_run(spark, tmp_path, monkeypatch):
    """And write what any reader of Parquet reads."""
    monkeypatch.chdir(tmp_path)

    pages.run_block("spark")

    assert pq.read_table("features-spark").num_rows == 20
