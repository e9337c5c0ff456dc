"""A dataset of Ray Data → a dataset with features or predictions, computed by Ray's workers."""

from __future__ import annotations

from typing import Any

from ..process import need
from ._columns import FeaturizeBatch, names_of
from ._shipped import Shipped

__all__ = ["FeaturizeBatch", "featurize"]


def featurize(
    dataset: Any,
    estimator: Any,
    column: str,
    *,
    method: str = "transform",
    to: str | None = None,
    **options: Any,
) -> Any:
    """Compute features or predictions of the items of a Ray dataset, when Ray asks for them.

    Rows do not depend on how the data is split, and the network is loaded once in each worker.
    It needs the extra ``ray``. Read more in the :ref:`User Guide <engines>`.

    Parameters
    ----------
    dataset : ray.data.Dataset
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
        Of ``Dataset.map_batches``, such as ``compute``, ``batch_size`` or ``num_gpus``.

    Returns
    -------
    ray.data.Dataset
        With two more columns: the results, and ``item_error``. Where an item cannot be read, its
        result is null and ``item_error`` says why.
    """
    data = need("ray.data", install="sklearn-pretrained[ray]", purpose="featurize on Ray")
    shipped = Shipped(estimator, method)
    # Its plan is not run to learn the names.
    taken = dataset.columns(fetch_if_missing=False) or [column]
    names = names_of(shipped, to, taken, column)
    options.setdefault("compute", data.ActorPoolStrategy())
    return dataset.map_batches(
        FeaturizeBatch,
        fn_constructor_args=(shipped, column, names),
        batch_format="pyarrow",
        zero_copy_batch=True,
        **options,
    )
