"""One featurizer, one source and one folder → portions in files, each of them once."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._outputs import bundle as bundle_of
from .._outputs import key as name_of
from ..cache import Work
from ..cache._policy import RowCache
from ..cache.segments import SegmentStore
from ..exceptions import BadItemError, BadItemWarning
from ..inputs import Some
from ..process import warn
from ..recipe import recipe_as
from ..road import Road
from ..running import Runners
from . import _parts
from ._bar import Bar
from ._journal import Counting, Journal
from ._read import count_bad
from ._source import Portion, Source


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


class Run:
    """One featurizer, one source and one folder."""

    def __init__(
        self, source: Source, folder: Path, featurizer: Any, whole: Any, dtype: str
    ) -> None:
        self._source, self._folder, self._dtype = source, folder, dtype
        self._featurizer, self._whole = featurizer, whole
        self._store = SegmentStore(folder, hold=0.0)
        self._parts: list[dict[str, Any]] = []
        self._left: dict[str, set[bytes | None]] = {}
        self._work = Work()
        self._fitted: Any = None
        self._first_error = ""

    def _begin(self, X: Any) -> None:
        fitted = self._featurizer
        is_fitted = hasattr(fitted, "weights_digest_")
        fitted = copy.copy(fitted) if is_fitted else clone(fitted).fit(X)
        road = fitted.road()
        if not road.backbone.lasting:
            raise ValueError(
                f"{road.backbone.name} cannot be recognised in another process, so a folder of its "
                "features could not be continued. See register_backbone."
            )
        more = fitted.keep_layers not in ("auto", None)
        outputs = list(dict.fromkeys(road.kept if more else road.outputs))
        self._road: Road = replace(road, outputs=outputs, kept=outputs)
        self._asked = [name_of(output) for output in road.outputs]
        self._runners = Runners(
            fitted.device,
            fitted.dtype_,
            fitted.weights_digest_,
            fitted.batch_size,
            fitted._engine,  # noqa: SLF001  the leaf computes as transform does
        )
        self._cache = Journal(RowCache(self._store), self._dtype)
        recipe = recipe_as(self._road.named(self._cache, self._runners), self._dtype)
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
        tally = Counting(items, bar)
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
        _parts.forget_journal(self._store, self._bundle, digests, self._left)
        self._work.add(tally.work)
        self._first_error = self._first_error or next(iter(errors.values()), "")
        self._note(name, n, len(errors))
        bar.next(n)

    def _items(self, portion: Portion) -> Some:
        if self._items_of_all is not None:
            return Some(self._items_of_all, portion.X, portion.names)
        items = self._fitted._read(portion.X, reset=False)  # noqa: SLF001
        return Some(items, range(len(items)), portion.names)

    def _known(self, number: int, portion: Portion, items: Some) -> tuple[str, int]:
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
        bad = count_bad(path)
        if bad is None:
            return "", 0
        # A run may have been killed after it wrote the part.
        _parts.forget_journal(self._store, self._bundle, digests, self._left)
        return name, bad

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
