"""A dataset of Hugging Face, in files or streamed → a dataset with features or predictions."""

from __future__ import annotations

import hashlib
from typing import Any

from ..cache.segments._format import arrow
from ..process import need
from ._columns import FeaturizeBatch, names_of, result_type
from ._shipped import Shipped

__all__ = ["featurize"]

_ONLY_HOW = {
    *("batch_size", "writer_batch_size", "num_proc", "desc", "keep_in_memory"),
    *("load_from_cache_file", "cache_file_name"),
}
"""Options of map that change no result."""


def featurize(
    dataset: Any,
    estimator: Any,
    column: str,
    *,
    method: str = "transform",
    to: str | None = None,
    **options: Any,
) -> Any:
    """Compute features or predictions of the items of a Hugging Face dataset.

    Rows do not depend on how the data is split, and the network is loaded once in each worker.
    A dataset in files is computed at once, unless datasets finds the result of an earlier call,
    also of another process, in its own cache; a streamed one when it is read. It needs the extra
    ``datasets``. Read more in the :ref:`User Guide <engines>`.

    Parameters
    ----------
    dataset : datasets.Dataset, datasets.IterableDataset, or a dictionary of splits of these
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
        Of ``map``, such as ``batch_size`` or ``num_proc``.

    Returns
    -------
    datasets.Dataset or datasets.IterableDataset
        Or such a dictionary, with two more columns: the results, and ``item_error``. Where an item
        cannot be read, its result is null and ``item_error`` says why.
    """
    datasets = need(
        "datasets", install="sklearn-pretrained[datasets]", purpose="featurize on datasets"
    )
    if isinstance(dataset, datasets.DatasetDict | datasets.IterableDatasetDict):
        how = {"method": method, "to": to, **options}
        return type(dataset)(
            {split: featurize(one, estimator, column, **how) for split, one in dataset.items()}
        )
    pa, _ = arrow()
    shipped = Shipped(estimator, method)
    names = names_of(shipped, to, dataset.column_names or [column], column)
    kinds = (result_type(shipped), pa.string())
    more = datasets.Features.from_arrow_schema(pa.schema(list(zip(names, kinds, strict=True))))
    if dataset.features is not None:
        options["features"] = datasets.Features({**dataset.features, **more})
    # Of a table that comes back whole, map removes nothing.
    gone = options.pop("remove_columns", None)
    shown: dict[str, Any] = {"type": None}
    if isinstance(dataset, datasets.Dataset):
        # What decides the results, so that every process finds those of another.
        shaping = sorted((name, repr(options[name])) for name in {*options} - _ONLY_HOW)
        decides = f"{dataset._fingerprint} {shipped.recipe} {column} {names} {shaping}"  # noqa: SLF001  map's own part of the name
        options.setdefault("new_fingerprint", hashlib.sha256(decides.encode()).hexdigest()[:16])
        shown = {"type": dataset.format["type"], **dataset.format["format_kwargs"]}
    # As Arrow, images stay the bytes that they are, and one that is damaged stops nothing.
    found = dataset.with_format("arrow").map(
        FeaturizeBatch(shipped, column, names), batched=True, **options
    )
    if isinstance(found, datasets.Dataset) and not len(found):  # of nothing, map makes nothing
        for name, kind in more.items():
            found = found.add_column(name, [], feature=kind)
    kept = found if gone is None else found.remove_columns(gone)
    return kept.with_format(**shown)
