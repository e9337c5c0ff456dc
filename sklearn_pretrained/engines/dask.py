"""A DataFrame of Dask → a DataFrame with features or predictions, computed by Dask's workers."""

from __future__ import annotations

from typing import Any

from ..cache.segments._format import arrow
from ..process import need
from ._columns import items_of, names_of, results_of
from ._shipped import Shipped

__all__ = ["featurize"]


def featurize(
    frame: Any,
    estimator: Any,
    column: str,
    *,
    method: str = "transform",
    to: str | None = None,
    **options: Any,
) -> Any:
    """Compute features or predictions of the items of a Dask DataFrame, when Dask asks for them.

    Rows do not depend on how the data is split, and the network is loaded once in each worker.
    It needs the extra ``dask``. Read more in the :ref:`User Guide <engines>`.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
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
        Of ``DataFrame.map_partitions``.

    Returns
    -------
    dask.dataframe.DataFrame
        With two more columns: the results, and ``item_error``. Where an item cannot be read, its
        result is null and ``item_error`` says why.
    """
    need("dask.dataframe", install="sklearn-pretrained[dask]", purpose="featurize on Dask")
    shipped = Shipped(estimator, method)
    names = names_of(shipped, to, list(frame.columns), column)
    meta = _with_results(frame._meta, column, shipped, names)  # noqa: SLF001  as Dask's own functions do
    return frame.map_partitions(_with_results, column, shipped, names, meta=meta, **options)


def _with_results(part: Any, column: str, shipped: Shipped, names: list[str]) -> Any:
    """Add two columns to a partition; one without rows shows their types."""
    pandas = need("pandas", install="sklearn-pretrained[dask]", purpose="featurize on Dask")
    items = part[column]
    is_typed = isinstance(items.dtype, pandas.ArrowDtype)
    found = results_of(
        shipped(items_of(arrow()[0].array(items)) if is_typed else items.tolist()), shipped
    )
    more = {
        name: pandas.Series(pandas.arrays.ArrowExtensionArray(values), index=part.index)
        for name, values in zip(names, found, strict=True)
    }
    return part.assign(**more)
