"""The networks and tables of a pipeline → its inputs: how each is named, read and fed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..exported._several import columns_of
from ..exported._table import Table as Reader
from ..exported._table import chosen
from ._categories import Known, categories_of, check_encoders
from ._network import Network, network_of
from ._parts import Columns, Part, Source, Table

Facts = dict[str, Any]


@dataclass
class Input:
    """One input of a file.

    Parameters
    ----------
    part : Source or Table
    prefix : str
        In front of the names of its tensors.
    columns : Columns
        Of X, which it reads.
    form : dict
        What the file says of how it is read.
    samples : list
        Of the examples.
    network : Network or None
    asked : str
        In which form the graph is to read it.
    """

    part: Any
    prefix: str
    columns: Columns
    form: Facts
    samples: list[Any]
    network: Network | None = None
    asked: str = "prepared"

    @property
    def tokenizer(self) -> str:
        """The content of a tokenizer.json, for texts."""
        return "" if self.network is None else self.network.tokenizer

    def is_fed_as(self, other: Input) -> bool:
        """Tell whether another input is always fed the same."""
        pair = [
            (one.columns, one.tokenizer, one.asked, _before_normalising(one.form))
            for one in (self, other)
        ]
        return pair[0] == pair[1] and self.form["kind"] in {"pictures", "texts"}

    def read(self, examples: Any) -> Any:
        """Take out of X what it reads."""
        return columns_of(examples, self.facts())

    def facts(self) -> Facts:
        """Say what the file says of it."""
        return {"prefix": self.prefix, "columns": asdict(self.columns), "form": self.form}


def inputs_of(found: Sequence[Part], examples: Any) -> list[Input]:
    """Prepare what is exported of each network, and read each table."""
    check_encoders(found)
    return list(_each(found, examples))


def _each(found: Sequence[Part], examples: Any) -> Iterator[Input]:
    parts = [part for part in found if isinstance(part, Source | Table)]
    for part in parts:
        prefix = f"{part.name}/" if len(parts) > 1 else ""
        if isinstance(part, Source):
            network = network_of(part.estimator, part.X)
            form, samples = network.form, network.samples
            yield Input(part, prefix, part.columns, form, samples, network)
        else:
            columns = _laid_out(part)
            values = chosen(examples, asdict(columns))
            form, samples = _table(values, columns, categories_of(part, found, len(values)))
            yield Input(part, prefix, columns, form, samples)


def _laid_out(table: Table) -> Columns:
    """Name the columns of all of X, where it has several."""
    if table.columns.places is not None:
        return table.columns
    shape = getattr(table.rows, "shape", None)
    if shape is None:
        shape = np.shape(table.rows)
    if len(shape) < 2:  # noqa: PLR2004
        return table.columns
    names = getattr(table.rows, "columns", None)
    return Columns([*range(shape[1])], None if names is None else [str(name) for name in names])


def _table(columns: Sequence[Any], known: Columns, categories: Known) -> tuple[Facts, list[Any]]:
    kinds = [_kind(np.asarray(column)) for column in columns]
    if "string" not in kinds and len(set(kinds)) > 1:
        kinds = ["float32"] * len(kinds)
    entries: list[Facts] = []
    for kind in kinds:
        if not entries or entries[-1]["dtype"] != kind:
            entries.append({"name": f"{kind}-{len(entries)}", "dtype": kind, "count": 0})
        entries[-1]["count"] += 1
    labels = known.names or [str(i) for i in known.places or [0]]
    form = {
        "kind": "table",
        "inputs": entries,
        "labels": [repr(label) if known.names else label for label in labels],
        # The pipeline has read the examples: where they hold NaN, its steps know what to do.
        "nan": [_has_nan(np.asarray(column)) for column in columns],
        "categories": categories,
    }
    return form, Reader(form).samples(columns)


def _kind(column: Any) -> str:
    if column.dtype.kind in "iub":
        return "int64"
    if column.dtype.kind == "f":
        return "float32"
    try:
        column.astype(np.float64)
    except (TypeError, ValueError):
        return "string"
    return "string" if any(isinstance(value, str) for value in column) else "float32"


def _before_normalising(form: Facts) -> Facts:
    """Leave out what becomes of pixels in the graph."""
    geometry = form.get("geometry", {})
    kept = {name: value for name, value in geometry.items() if name not in {"mean", "std"}}
    return {**form, "geometry": kept}


def _is_plain(inputs: Sequence[Input]) -> bool:
    """Tell whether there is one input, which reads X itself."""
    return len(inputs) == 1 and inputs[0].columns.places is None and not inputs[0].prefix


def _has_nan(column: Any) -> bool:
    return column.dtype.kind == "f" and bool(np.isnan(column).any())


def form_of(inputs: Sequence[Input]) -> Facts:
    """Say how X is read."""
    if _is_plain(inputs):
        return inputs[0].form
    return {
        "kind": "several",
        "parts": [one.facts() for one in inputs],
        **{how: any(one.form.get(how, False) for one in inputs) for how in ("even", "alone")},
    }


def samples_of(inputs: Sequence[Input]) -> list[Any]:
    """Lay the examples' samples side by side, as the file's reader does."""
    if _is_plain(inputs):
        return inputs[0].samples
    return list(zip(*(one.samples for one in inputs), strict=True))
