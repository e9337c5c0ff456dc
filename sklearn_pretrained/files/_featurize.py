"""Images or texts in files, and a featurizer → files of features, that a killed run continues."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from .._text import PretrainedTextFeaturizer
from ._bar import Bar
from ._run import Featurized, Run
from ._source import find


def featurize(
    source: Any,
    featurizer: Any,
    to: str | os.PathLike[str],
    *,
    column: str | None = None,
    key: str | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    rows_per_file: int = 8192,
    verbose: bool = False,
) -> Featurized:
    """Compute the features of images or texts in files, and write them to Parquet files.

    A run that was stopped or killed continues when it is called again: items whose features were
    written, known by their content, are not passed through the network again. Once finished,
    `read_features` opens the folder, every engine that reads Parquet can, and as
    ``cache="features/"`` it serves featurizers and searches without a forward pass. It needs the
    extra ``parquet``. Read more in the :ref:`User Guide <scale>`.

    Parameters
    ----------
    source : str, path or array-like
        A folder of images, with the folders in it; a glob (``"photos/**/*.jpg"``); a table
        (``.csv``, ``.jsonl``, ``.parquet``, or a glob of such) with a column of paths, images as
        bytes, or texts; or anything that ``transform`` takes. Paths in a table are relative to
        the folder of the table. The columns of a CSV file are read as strings.
    featurizer : featurizer
        A `PretrainedImageFeaturizer` or `PretrainedTextFeaturizer`, or for an array-like source
        any featurizer. If it is not fitted, a clone is fitted. With ``keep_layers="main"`` or a
        list, these layers are written too. Its ``cache`` and ``on_error`` are not used.
    to : str or path
        The folder for the features, which is created if needed.
    column : str, default=None
        The column of the table that holds the items. None if there is only one column.
    key : str, default=None
        A column of the table that names the items. None numbers the rows.
    dtype : {"float32", "float16"}, default="float32"
        Type of the written numbers. With "float16" the folder is half as large, and is not a
        cache, since its rows are rounded.
    rows_per_file : int, default=8192
        Number of rows in a file, which are held in memory.
    verbose : bool, default=False
        Whether to show a progress bar, with rate and time left.

    Returns
    -------
    Featurized
        Numbers of rows, and how many of them this run computed.

    See Also
    --------
    read_features : Read what was written.
    SharedFeatureCache : Use the folder as a cache.

    Examples
    --------
    >>> from sklearn_pretrained import PretrainedTextFeaturizer, featurize, read_features
    >>> texts = ["The cat sat on the mat.", "Stocks fell sharply."]
    >>> featurize(texts, PretrainedTextFeaturizer(), to="features").rows
    2
    >>> read_features("features").X.shape
    (2, 384)
    """
    _check(featurizer, dtype, rows_per_file)
    texts = isinstance(featurizer, PretrainedTextFeaturizer)
    found = find(source, column=column, key=key, texts=texts)
    folder = Path(to).expanduser().absolute()
    if folder.is_file():
        raise NotADirectoryError(f"to={str(to)!r} is a file; features are written to a folder.")
    whole = None if isinstance(source, str | os.PathLike) else source
    run = Run(found, folder, featurizer, whole, dtype)
    with Bar(found.said, found.count, shown=verbose) as bar:
        for number, portion in enumerate(found.portions(rows_per_file)):
            run.portion(number, portion, bar)
    return run.finish()


def _check(featurizer: Any, dtype: str, rows_per_file: int) -> None:
    if not hasattr(featurizer, "road"):
        raise TypeError(
            f"featurizer must be a featurizer of this package, got {type(featurizer).__name__}."
        )
    if featurizer.pooling == "none":
        raise ValueError(
            "featurize writes one vector for each item, but pooling='none' keeps a layer's shape. "
            "Use another pooling."
        )
    if dtype not in {"float32", "float16"}:
        raise ValueError(f"dtype must be 'float32' or 'float16', got {dtype!r}.")
    if not isinstance(rows_per_file, int) or rows_per_file < 1:
        raise ValueError(f"rows_per_file must be a positive int, got {rows_per_file!r}.")
