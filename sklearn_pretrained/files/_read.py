"""A folder that `featurize` wrote → X, keys, names of columns, provenance."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cache.segments._format import arrow, head_of, matrix
from ..pinned import Provenance
from . import _parts


@dataclass(frozen=True)
class Features:
    """What `featurize` wrote.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The features, float32 or, where written so, float16. Rows of items that could not be read
        are NaN.
    keys : ndarray
        What names each item: its path in the folder, a column of the table, or its position.
    names : ndarray of str
        Names of the features, as ``get_feature_names_out`` gives them.
    table : pyarrow.Table
        The columns that were carried along, with the keys; ``table.to_pandas()`` is a DataFrame.
    errors : dict of int to str
        Positions of the items that could not be read, with the reason.
    layers : list of str
        The layers that were written, which ``read_features(layer=…)`` takes.
    provenance : Provenance
        What determines the features.
    """

    X: NDArray[Any]
    keys: NDArray[Any]
    names: NDArray[np.object_]
    table: Any
    errors: dict[int, str]
    layers: list[str]
    provenance: Provenance

    def __repr__(self) -> str:
        return f"<Features {self.X.shape} of {', '.join(self.layers)}>"


def read_features(
    folder: str | os.PathLike[str],
    *,
    layer: str | Sequence[str] | None = None,
    mmap: bool = False,
) -> Features:
    """Read the features that `featurize` wrote.

    Parameters
    ----------
    folder : str or path
        The folder.
    layer : str or list of str, default=None
        Which of the written layers to read, by the names of their columns or of the layers. None
        reads those that the featurizer gives. Several are concatenated.
    mmap : bool, default=False
        Whether X lies on disk and is mapped into memory, for more rows than memory holds. The
        first time, a copy is written to the folder, as ``.npy``.

    Returns
    -------
    Features
        The array ``X``, and ``keys``, ``names``, ``table``, ``errors``, ``layers`` and
        ``provenance``.

    See Also
    --------
    featurize : Write such a folder.

    Examples
    --------
    >>> from sklearn_pretrained import PretrainedTextFeaturizer, featurize, read_features
    >>> texts = ["The cat sat on the mat.", "Stocks fell sharply."]
    >>> _ = featurize(texts, PretrainedTextFeaturizer(), to="features")
    >>> features = read_features("features")
    >>> features.X.shape, features.keys.tolist()
    ((2, 384), [0, 1])
    """
    arrow()
    top = Path(folder).expanduser()
    facts = _parts.read_manifest(top)
    widths = {str(name): int(width) for name, width in facts["outputs"]}
    chosen = _chosen(layer, facts["asked"], widths)
    shape = (int(facts["rows"]), sum(widths[name] for name in chosen))
    X, carried = _read(top, facts, chosen, shape, mmap=mmap)
    keys = _keys(carried.column(facts["key"]))
    reasons = carried.column(_parts.ERROR).to_pylist()
    names = [
        f"{facts['stem']}_{name.rpartition(':')[0]}_{i}"
        for name in chosen
        for i in range(widths[name])
    ]
    return Features(
        X=X,
        keys=keys,
        names=np.array(names, dtype=object),
        table=carried.drop_columns([_parts.ERROR]),
        errors={i: why for i, why in enumerate(reasons) if why is not None},
        layers=list(widths),
        provenance=Provenance(facts["provenance"]),
    )


def _keys(column: Any) -> NDArray[Any]:
    pa, _ = arrow()
    if pa.types.is_integer(column.type) and column.null_count:
        # Arrow would make floats of them, which do not tell large numbers apart.
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.to_numpy())


def _chosen(
    layer: str | Sequence[str] | None, asked: Sequence[str], widths: dict[str, int]
) -> list[str]:
    if layer is None:
        return list(asked)
    chosen = []
    for name in [layer] if isinstance(layer, str) else layer:
        fitting = [one for one in widths if name in (one, one.rpartition(":")[0])]
        if len(fitting) != 1:
            raise ValueError(
                f"layer={name!r} matches {len(fitting)} of the layers in this folder, which are "
                f"{', '.join(map(repr, widths))}. Pass one of these."
            )
        chosen += fitting
    return chosen


def _read(
    top: Path, facts: dict[str, Any], chosen: list[str], shape: tuple[int, int], *, mmap: bool
) -> tuple[NDArray[Any], Any]:
    pa, _ = arrow()
    carried = []
    if not mmap:
        X = np.empty(shape, facts["dtype"])
        start = 0
        for rows, others in _parts_of(top, facts, chosen):
            X[start : start + len(rows)] = rows
            start += len(rows)
            carried.append(others)
        return X, pa.concat_tables(carried)
    said = f"{facts['recipe']}{[part['name'] for part in facts['parts']]}{chosen}"
    place = top / f"X-{hashlib.sha256(said.encode()).hexdigest()[:16]}.npy"
    if place.exists():
        carried = [others for _, others in _parts_of(top, facts, [])]
    else:
        temporary = top / f".{place.name}.{secrets.token_hex(8)}.tmp"
        head = {"descr": np.dtype(facts["dtype"]).str, "fortran_order": False, "shape": shape}
        try:
            # Written, not mapped: a full disk is an error then, and not the end of the process.
            with open(temporary, "wb") as file:
                np.lib.format.write_array_header_1_0(file, head)
                for rows, others in _parts_of(top, facts, chosen):
                    file.write(np.ascontiguousarray(rows, facts["dtype"]).data)
                    carried.append(others)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
    return np.load(place, mmap_mode="r"), pa.concat_tables(carried)


def _parts_of(
    top: Path, facts: dict[str, Any], chosen: list[str]
) -> Iterator[tuple[NDArray[Any], Any]]:
    """Yield the features that were chosen and the other columns, part by part."""
    for part in _tables(top, facts, chosen):
        rows = matrix(part, chosen) if chosen else np.empty((len(part), 0), facts["dtype"])
        yield rows, part.drop_columns(list(dict.fromkeys(chosen)))


def _tables(top: Path, facts: dict[str, Any], chosen: list[str]) -> Iterator[Any]:
    _, parquet = arrow()
    outputs = {name for name, _ in facts["outputs"]}
    for part in facts["parts"]:
        path = top / part["name"]
        try:
            with parquet.ParquetFile(path, page_checksum_verification=True) as file:
                names = file.schema_arrow.names
                others = [n for n in names if n not in outputs and n not in _parts.OURS[:2]]
                table = file.read([*others, *dict.fromkeys(chosen)], use_threads=False)
                head = head_of(file.schema_arrow)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{path} is missing. Call featurize again to write it."
            ) from error
        except Exception as error:
            raise OSError(_damaged(path, str(error))) from error
        if head is None or head.bundle.recipe != facts["recipe"] or len(table) != part["rows"]:
            raise OSError(_damaged(path, "it differs from the manifest"))
        yield table.replace_schema_metadata(None)


def _damaged(path: Path, why: str) -> str:
    said = why.strip().partition("\n")[0]
    return f"{path} is damaged ({said}). Call featurize again to rewrite it."


def count_bad(path: Path) -> int | None:
    """Read all of a part, and count the items that could not be; None where it is damaged."""
    _, parquet = arrow()
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            reasons = file.read(use_threads=False).column(_parts.ERROR)
            return len(reasons) - reasons.null_count
    except Exception:
        return None
