"""A folder, a glob, a table in files or any X → portions of it, each with what is carried along."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..cache.segments._format import arrow
from ._image_folder import SUFFIXES, files_in

_TABLES = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
# Bytes of a column of a Parquet file that are read at once.
_BUFFER = 1 << 20
# What stands for a place in X, where items have no name.
ROW = "row"


@dataclass(frozen=True)
class Portion:
    """Some rows of a source.

    Parameters
    ----------
    X : sequence
        The items, as a featurizer takes them.
    carried : pyarrow.Table
        The other columns, with the keys.
    names : sequence of str
        What errors call the items.
    """

    X: Any
    carried: Any
    names: Sequence[str]


@dataclass(frozen=True)
class Source:
    """Where items come from.

    Parameters
    ----------
    portions : callable
        Yields portions of so many rows.
    count : callable
        Counts all rows.
    key : str
        The column that names an item.
    said : str
        What the source is called.
    """

    portions: Callable[[int], Iterator[Portion]]
    count: Callable[[], int]
    key: str
    said: str


def find(source: Any, *, column: str | None, key: str | None, texts: bool) -> Source:
    """Find out what a source is."""
    if not isinstance(source, str | os.PathLike):
        return _of_sequence(source)
    path = os.path.expanduser(os.fspath(source))  # noqa: PTH111  a glob is no path
    if Path(path).is_dir():
        images = [str(file) for file in files_in(Path(path), []) if _is_image(file)]
        return _of_paths(images, Path(path), path, texts=texts)
    # A glob of the whole path: ** may begin anywhere.
    found = [path] if Path(path).exists() else sorted(glob.glob(path, recursive=True))  # noqa: PTH207
    kinds = {Path(one).suffix.lower() for one in found}
    if len(kinds) == 1 and kinds <= _TABLES.keys():
        return _of_tables(found, _TABLES[kinds.pop()], path, column, key, texts=texts)
    images = [one for one in found if _is_image(Path(one))]
    if kinds and not images:
        raise ValueError(
            f"{path!r} is neither a folder or glob of images nor a table; tables end with "
            f"{', '.join(_TABLES)}."
        )
    return _of_paths(images, None, path, texts=texts)


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def _of_paths(images: list[str], top: Path | None, said: str, *, texts: bool) -> Source:
    pa, _ = arrow()
    if texts:
        raise ValueError(
            f"Texts come from a column of a table ({', '.join(_TABLES)}), got {said!r}."
        )
    if not images:
        raise ValueError(f"No images in {said!r}; their names end with {', '.join(SUFFIXES)}.")

    for path in images:
        if not path.isascii() and any("\ud800" <= letter <= "\udfff" for letter in path):
            raise ValueError(
                f"The name of {path!r} is not valid UTF-8, so no table can hold it. Rename the "
                "file."
            )

    def portions(n: int) -> Iterator[Portion]:
        for start in range(0, len(images), n):
            paths = images[start : start + n]
            keys = paths if top is None else [Path(p).relative_to(top).as_posix() for p in paths]
            yield Portion(paths, pa.table({"path": pa.array(keys, pa.string())}), keys)

    return Source(portions, lambda: len(images), "path", said)


def _of_sequence(X: Any) -> Source:
    pa, _ = arrow()
    if not hasattr(X, "__len__"):
        raise TypeError(
            f"source must be a path, a glob or an X with a length, got {type(X).__name__}."
        )

    def portions(n: int) -> Iterator[Portion]:
        for start in range(0, len(X), n):
            rows = range(start, min(start + n, len(X)))
            names = [f"Item {i} of X" for i in rows]
            yield Portion(rows, pa.table({ROW: pa.array(rows, pa.int64())}), names)

    return Source(portions, lambda: len(X), ROW, f"X ({type(X).__name__})")


def _of_tables(
    paths: list[str], kind: str, said: str, column: str | None, key: str | None, *, texts: bool
) -> Source:
    pa, _ = arrow()
    table = _Tables(paths, kind)
    names = table.names
    items = _choose(names, column, said)
    if key is not None and key not in names:
        raise ValueError(f"{said!r} has no column {key!r}; it has {', '.join(map(repr, names))}.")
    if key is None and ROW in names:
        raise ValueError(
            f"{said!r} has a column {ROW!r}, which is the name of the numbers of the rows. Pass "
            "it, or another column that names the items, as key=, or rename it."
        )
    base, *others = dict.fromkeys(str(Path(path).parent) for path in paths)

    def portions(n: int) -> Iterator[Portion]:
        start = 0
        for part in table.portions(n):
            values = part.column(items).to_pylist()
            if not texts:  # paths are written as they are seen from the table
                relative = [v for v in values if isinstance(v, str) and not os.path.isabs(v)]  # noqa: PTH117
                if relative and others:
                    raise ValueError(
                        f"The tables of {said!r} lie in several folders, so the relative path "
                        f"{relative[0]!r} is ambiguous. Write absolute paths, or call featurize "
                        "once for each folder."
                    )
                values = [os.path.join(base, v) if isinstance(v, str) else v for v in values]  # noqa: PTH118
            # Images themselves are not copied.
            is_text = _is_text(part.schema.field(items).type)
            carried = part if is_text else part.drop_columns([items])
            row = pa.array(range(start, start + len(part)), pa.int64())
            called = [f"Row {start + k} of {said}" for k in range(len(part))]
            start += len(part)
            if key is None:
                carried = carried.add_column(0, ROW, row)
            yield Portion(values, carried, called)

    return Source(portions, table.count, key or ROW, said)


def _is_text(kind: Any) -> bool:
    pa, _ = arrow()
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    views = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_one(kind) for is_one in views)


def _choose(names: list[str], column: str | None, said: str) -> str:
    if column is None and len(names) == 1:
        return names[0]
    if column in names:
        return str(column)
    what = "Pass the column of the items" if column is None else f"It has no column {column!r}"
    raise ValueError(f"{said!r} has the columns {', '.join(map(repr, names))}. {what}: column=…")


class _Tables:
    """Files of rows, read portion by portion."""

    def __init__(self, paths: list[str], kind: str) -> None:
        pa, _ = arrow()
        ds = import_module("pyarrow.dataset")
        form: Any = kind
        if kind == "csv":
            csv = import_module("pyarrow.csv")
            # A file of characters says no types: "007" stays what it is.
            with csv.open_csv(paths[0]) as reader:
                names = reader.schema.names
            convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
            form = ds.CsvFileFormat(
                csv.ParseOptions(newlines_in_values=True), convert_options=convert
            )
        self._paths, self._kind, self._form = paths, kind, form
        self._dataset = ds.dataset(paths, format=form)
        self.names: list[str] = self._dataset.schema.names

    def count(self) -> int:
        """Count all rows."""
        return self._dataset.count_rows()

    def portions(self, n: int) -> Iterator[Any]:
        """Yield tables of n rows; the last is shorter."""
        pa, _ = arrow()
        waiting: list[Any] = []
        there = 0
        for batch in self._batches(n):
            while there + len(batch) >= n:
                yield pa.Table.from_batches([*waiting, batch.slice(0, n - there)])
                batch = batch.slice(n - there)  # noqa: PLW2901  what is left of it
                waiting, there = [], 0
            if len(batch):
                waiting.append(batch)
                there += len(batch)
        if waiting:
            yield pa.Table.from_batches(waiting)

    def _batches(self, n: int) -> Iterator[Any]:
        """Yield at most n rows at a time, in the columns of the first file."""
        pa, _ = arrow()
        for path in self._paths:
            try:
                yield from self._batches_of(path, n)
            except pa.ArrowException as error:
                raise ValueError(
                    f"{path!r} cannot be read as a table of {', '.join(map(repr, self.names))}, "
                    f"which are the columns at the beginning of {self._paths[0]!r}: {error}"
                ) from error

    def _batches_of(self, path: str, n: int) -> Iterator[Any]:
        _, parquet = arrow()
        ds = import_module("pyarrow.dataset")
        schema = self._dataset.schema
        if self._kind == "json":
            # A dataset would leave out what is not in the first rows.
            json = import_module("pyarrow.json")
            with json.open_json(
                path,
                json.ReadOptions(use_threads=False),
                json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
            ) as file:
                yield from file
            return
        if self._kind == "parquet":
            # A dataset would hold a whole group of rows, which may be all of the file.
            with parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER) as file:
                if file.schema_arrow.equals(schema):
                    yield from file.iter_batches(n, use_threads=False)
                    return
        names = ds.dataset([path], format=self._form).schema.names
        more = [name for name in names if name not in self.names]
        if more:
            raise ValueError(
                f"{path!r} has columns that {self._paths[0]!r} has not: "
                f"{', '.join(map(repr, more))}. Call featurize once for each kind of table."
            )
        yield from ds.dataset([path], schema, self._form).to_batches(
            batch_size=n, batch_readahead=1, fragment_readahead=1, use_threads=False
        )
