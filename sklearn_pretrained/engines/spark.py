"""A DataFrame of Spark → a DataFrame with features or predictions, computed by Spark's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..process import need
from ._columns import items_of, names_of, results_of
from ._shipped import Shipped

__all__ = ["featurize", "spark_udf"]

_EXTRA = "sklearn-pretrained[spark]"
# What Spark calls the kinds of numbers that come.
_NAMES = {"float32": "float", "float64": "double", "int64": "bigint", "bool": "boolean"}


def featurize(
    frame: Any,
    estimator: Any,
    column: str,
    *,
    method: str = "transform",
    to: str | None = None,
    **options: Any,
) -> Any:
    """Compute features or predictions of the items of a Spark DataFrame, when Spark asks for them.

    Rows do not depend on how the data is split, and the network is loaded once in each worker.
    It needs the extra ``spark``. Read more in the :ref:`User Guide <engines>`.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    estimator : featurizer or Pipeline
        Fitted: a featurizer, or a pipeline that begins with one. Relative paths in its parameters
        must mean the same in every worker. With ``cache="memory"``, workers keep no rows; a
        folder is shared by all of them.
    column : str
        The column of the items: texts, paths that every worker can open, the bytes of images,
        or arrays.
    method : {"transform", "predict", "predict_proba"}, default="transform"
        What is computed.
    to : str, default=None
        Name of the column of results. None stands for "features", "prediction" or
        "probabilities".
    **options
        Of ``DataFrame.mapInArrow``.

    Returns
    -------
    pyspark.sql.DataFrame
        With two more columns: the results, and ``item_error``. Where an item cannot be read, its
        result is null and ``item_error`` says why.
    """
    types = need("pyspark.sql.types", install=_EXTRA, purpose="featurize on Spark")
    shipped = Shipped(estimator, method)
    names = names_of(shipped, to, frame.columns, column)
    schema = types.StructType(list(frame.schema))
    for name, kind in zip(names, (_type(shipped), "string"), strict=True):
        schema.add(name, types.DataType.fromDDL(kind))

    def with_results(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            found = results_of(shipped(items_of(batch.column(column))), shipped, fixed=False)
            yield type(batch).from_arrays([*batch.columns, *found], [*batch.schema.names, *names])

    return frame.mapInArrow(with_results, schema, **options)


def spark_udf(estimator: Any, *, method: str = "transform") -> Callable[..., Any]:
    """Make a user-defined function of Spark from a featurizer or a pipeline.

    It takes a column of texts, of paths that every worker can open, or of the bytes of images
    (``content``, where Spark read them as ``binaryFile``), and gives a column of
    ``array<float>``, or of predictions. Items that cannot be read are null; `featurize` also says
    why. It needs the extra ``spark``. Read more in the :ref:`User Guide <engines>`.

    Parameters
    ----------
    estimator : featurizer or Pipeline
        Fitted: a featurizer, or a pipeline that begins with one.
    method : {"transform", "predict", "predict_proba"}, default="transform"
        What is computed.

    Returns
    -------
    callable
        Takes a column and returns one, also in SQL once it is registered
        (``spark.udf.register("features", spark_udf(featurizer))``).
    """
    functions = need("pyspark.sql.functions", install=_EXTRA, purpose="spark_udf")
    shipped = Shipped(estimator, method)

    def results(columns: Iterator[Any]) -> Iterator[Any]:
        for items in columns:
            yield results_of(shipped(items_of(items)), shipped, fixed=False)[0]

    return functions.arrow_udf(results, _type(shipped), functions.ArrowUDFType.SCALAR_ITER)


def _type(shipped: Shipped) -> str:
    name = _NAMES.get(shipped.kind.dtype.name, "string")
    return name if shipped.kind.width is None else f"array<{name}>"
