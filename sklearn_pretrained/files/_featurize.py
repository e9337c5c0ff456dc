"""Images or texts in files, and a featurizer → files of features, that a killed run continues."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._outputs import bundle as bundle_of
from .._outputs import key as name_of
from .._recipe import Bundle
from .._road import Road
from .._tally import Tally
from .._text import PretrainedTextFeaturizer
from .._warn import warn
from ..cache._policy import RowCache, Work
from ..cache.segments import SegmentStore
from ..exceptions import BadItemError, BadItemWarning
from ..running import Runners
from . import _parts
from ._bar import Bar
from ._source import Portion, Source, find


@dataclass(frozen=True)
class Featurized:
    """What a run of `featurize` did.

    Parameters
    ----------
    folder : str
        Where the features are.
    rows : int
        All rows.
    computed : int
        Rows that this run passed through the network.
    bad : int
        Rows whose items could not be read.
    files : int
        Files that hold the rows.
    """

    folder: str
    rows: int
    computed: int
    bad: int
    files: int


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
        The column of the table that holds the items. None if there is one column only.
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
    whole = None if isinstance(source, str | os.PathLike) else source
    run = _Run(found, folder, featurizer, whole, dtype)
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


class _Run:
    """One featurizer, one source and one folder."""

    def __init__(
        self, source: Source, folder: Path, featurizer: Any, whole: Any, dtype: str
    ) -> None:
        self._source, self._folder, self._dtype = source, folder, dtype
        self._featurizer, self._whole = featurizer, whole
        self._store = SegmentStore(folder, hold=0.0)
        self._parts: list[dict[str, Any]] = []
        self._work = Work()
        self._fitted: Any = None
        self._first_error = ""

    def _begin(self, X: Any) -> None:
        fitted = self._featurizer
        is_fitted = hasattr(fitted, "weights_digest_")
        fitted = copy.copy(fitted) if is_fitted else clone(fitted).fit(X)
        road = fitted.road()
        if not road.backbone.shareable:
            raise ValueError(
                f"{road.backbone.name} cannot be recognised in another process, so a folder of its "
                "features could not be continued. See register_backbone."
            )
        more = fitted.keep_layers not in ("auto", None)
        outputs = list(dict.fromkeys(road.kept if more else road.outputs))
        self._road: Road = replace(road, outputs=outputs, kept=outputs)
        self._asked = [name_of(output) for output in road.outputs]
        self._runners = Runners(
            fitted.device, fitted.dtype_, fitted.weights_digest_, fitted.batch_size
        )
        self._cache = _Journal(RowCache(self._store), self._dtype)
        recipe = _parts.recipe_as(self._road.named(self._cache, self._runners), self._dtype)
        self._bundle = bundle_of(recipe, outputs)
        _parts.check_folder(self._folder, self._bundle)
        self._facts = {
            "asked": self._asked,
            "dtype": self._dtype,
            "key": self._source.key,
            "stem": fitted.model_.rpartition("/")[2],
            "provenance": fitted.provenance().to_dict(),
        }
        self._items_of_all = None if self._whole is None else fitted._read(X, reset=False)  # noqa: SLF001  the leaf reads as transform does
        self._fitted = fitted

    def portion(self, number: int, portion: Portion, bar: Bar) -> None:
        """Bring one portion into a file, unless it is in one."""
        if self._fitted is None:
            self._begin(portion.X if self._whole is None else self._whole)
        items = self._items(portion)
        n = len(items)
        if [*self._folder.glob(f"part-{number:06d}-*")]:
            name, bad = self._known(number, portion, items)
            if name:
                self._note(name, n, bad)
                bar.at_least(n)
                bar.next(n)
                return
        tally = _Counting(items, bar)
        rows = np.empty((n, self._bundle.width), np.float32)
        digests: list[bytes | None] = []
        for window, part in self._road.stream(items, self._cache, self._runners, tally):
            rows[window.start : window.stop] = part
            digests += self._cache.digests
            bar.at_least(len(digests))
        errors = tally.bad.settle()
        self._check_range(rows)
        name = _parts.part_name(number, self._bundle, portion.carried, digests)
        _parts.write_part(
            self._folder / name,
            self._bundle,
            portion.carried,
            digests,
            rows,
            errors=errors,
            dtype=self._dtype,
            facts=self._facts,
        )
        _parts.forget_journal(self._store, self._bundle, digests)
        self._work.add(tally.work)
        self._first_error = self._first_error or next(iter(errors.values()), "")
        self._note(name, n, len(errors))
        bar.next(n)

    def _items(self, portion: Portion) -> _Named:
        if self._items_of_all is not None:
            return _Named(self._items_of_all, portion.X, portion.names)
        items = self._fitted._read(portion.X, reset=False)  # noqa: SLF001
        return _Named(items, range(len(items)), portion.names)

    def _known(self, number: int, portion: Portion, items: _Named) -> tuple[str, int]:
        """Find the file that holds this very portion, by the content of its items."""
        digests: list[bytes | None] = []
        for i in range(len(items)):
            try:
                digests.append(items.digest(i))
            except BadItemError:
                digests.append(None)
            if (i + 1) % items.at_once == 0:
                items.let_go()
        items.let_go()
        name = _parts.part_name(number, self._bundle, portion.carried, digests)
        path = self._folder / name
        if not path.exists():
            return "", 0
        from ._read import count_bad

        bad = count_bad(path)
        return (name, bad) if bad is not None else ("", 0)

    def _note(self, name: str, n: int, bad: int) -> None:
        self._parts.append({"name": name, "rows": n, "bad": bad})

    def _check_range(self, rows: NDArray[np.float32]) -> None:
        limit = np.finfo(self._dtype).max
        with np.errstate(invalid="ignore"):
            beyond = np.abs(rows) > limit
        if beyond.any():
            column = int(np.flatnonzero(beyond.any(axis=0))[0])
            names = [name for name, width in self._bundle.outputs for _ in range(width)]
            raise ValueError(
                f"Features of {names[column]!r} are larger than {self._dtype} can hold "
                f"({limit:.0f}). Use dtype='float32'."
            )

    def finish(self) -> Featurized:
        """Write what there is, and say what was done."""
        if self._fitted is None:
            raise ValueError(f"{self._source.said!r} has no rows.")
        rows, bad = (sum(part[name] for part in self._parts) for name in ("rows", "bad"))
        done = Featurized(str(self._folder), rows, self._work.computed, bad, len(self._parts))
        _parts.write_manifest(
            self._folder,
            {
                "source": self._source.said,
                "rows": rows,
                "bad": bad,
                "recipe": self._bundle.recipe,
                "outputs": [list(output) for output in self._bundle.outputs],
                **self._facts,
                "parts": self._parts,
            },
        )
        if bad:
            first = f" The first of this run: {self._first_error}." if self._first_error else ""
            warn(
                f"{bad} of {rows} items could not be read; the column {_parts.ERROR!r} of the "
                f"files says why.{first}",
                BadItemWarning,
            )
        return done


class _Journal:
    """The folder as a cache: what is computed is there before the file that it belongs in."""

    lasting = True

    def __init__(self, rows: RowCache, dtype: str) -> None:
        self._rows, self._dtype = rows, dtype
        self.recall, self.remember = rows.recall, rows.remember
        self.digests: list[bytes | None] = []

    def fetch(
        self,
        wanted: Bundle,
        keep: Bundle,
        digests: Sequence[bytes | None],
        compute: Any,
        out: Any,
        **told: Any,
    ) -> Work:
        """Fill rows, rounded as they are stored."""
        self.digests = list(digests)
        work = self._rows.fetch(
            self._named(wanted), self._named(keep), digests, compute, out, **told
        )
        if self._dtype != "float32":
            limit = np.finfo(self._dtype).max
            fits = np.abs(out) <= limit
            out[fits] = out[fits].astype(self._dtype)
        return work

    def _named(self, bundle: Bundle) -> Bundle:
        return replace(bundle, recipe=_parts.recipe_as(bundle.recipe, self._dtype))


class _Named:
    """Some items, under the names that they have in their source."""

    def __init__(self, items: Any, positions: Sequence[int], names: Sequence[str]) -> None:
        self._items, self._positions, self._names = items, positions, names
        self.at_once, self.let_go = items.at_once, items.let_go

    def __len__(self) -> int:
        return len(self._positions)

    def digest(self, i: int) -> bytes:
        """Hash an item's content."""
        return self._items.digest(self._positions[i])

    def load(self, i: int) -> Any:
        """Return an item's content."""
        return self._items.load(self._positions[i])

    def name(self, i: int) -> str:
        """Say which item."""
        return self._names[i]


class _Counting(Tally):
    """Tells the bar of each batch."""

    def __init__(self, items: Any, bar: Bar) -> None:
        super().__init__(items, raises=False)
        self._bar = bar

    def done(self, n: int) -> None:
        """Count rows that went through the network."""
        super().done(n)
        self._bar.add(n)
