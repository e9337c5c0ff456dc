"""A network's folder → whether it is as it was, told without reading what is in it.

A folder is found anew, read and compared in milliseconds, and a service asks for one row at a time.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...process import Stamp, stamp_of
from .._backbone import Backbone
from ._folders import FolderWeights, find_folder, named_folder

_READ = {
    *(".json", ".txt", ".safetensors", ".bin"),
    *(".model", ".spm", ".codes", ".vocab", ".tiktoken"),
}
_MOST = 64
"""Files and folders; to look at more takes about as long as to find the network anew."""


class SeenFolder:
    """The folder that a name stands for, as it was before anything in it was read.

    Parameters
    ----------
    model : str
        Name on the hub, or a local folder.
    revision : str or None
    what : str
        What is looked for, in errors.
    """

    def __init__(self, model: str, revision: str | None, *, what: str = "text encoder") -> None:
        self._asked, self._what = (model, revision), what
        self.path = find_folder(model, revision, what=what)
        self._stamps = _stamps(self.path)
        self._shared: Any = None
        self._then = b""

    def note(self, shared: Any) -> None:
        """Learn of the configuration that was read, which other descriptions share."""
        try:
            self._shared, self._then = shared, pickle.dumps(vars(shared))
        except Exception:  # whatever it holds, it cannot be compared
            self._stamps = {}

    def is_still(self) -> bool:
        """Tell whether the name stands for this folder, and nothing in it has changed since."""
        return (
            bool(self._stamps)
            and all(stamp_of(path) == stamp for path, stamp in self._stamps.items())
            and named_folder(*self._asked, what=self._what) == self.path
            and pickle.dumps(vars(self._shared)) == self._then
        )


def _stamps(folder: Path) -> dict[str, Stamp]:
    """Look at a folder, at those in it, and at files; {} where a change might not show."""
    found: dict[str, Stamp] = {}
    try:
        for path in _within(str(folder)):
            stamp = stamp_of(path)
            if stamp is None or len(found) >= _MOST:
                return {}
            found[path] = stamp
    except OSError:  # such as a link to nothing, which may come to be
        return {}
    return found


def _within(folder: str, *, depth: int = 1) -> Iterator[str]:
    """Name a folder, then what is in it, so that what comes in between shows."""
    yield folder
    with os.scandir(folder) as entries:
        for entry in entries:
            if depth and entry.is_dir():
                yield from _within(entry.path, depth=depth - 1)
            elif os.path.splitext(entry.name)[1] in _READ:  # noqa: PTH122
                if not entry.is_file():
                    raise FileNotFoundError(entry.path)
                yield entry.path


class OfFolder(Backbone):
    """A network of a folder, or of a name on the hub, which stands for one.

    Attributes
    ----------
    seen : SeenFolder or None
        What tells whether the folder is as it was before the network was described.
    """

    seen: SeenFolder | None = None

    def is_still(self, weights: str) -> bool:
        """Tell whether the folder is as it was; its weights are hashed when they are loaded."""
        return (
            self.seen is not None
            and self.seen.is_still()
            and (isinstance(self.weights, FolderWeights) or self.weights.digest() == weights)
        )
