"""A network's files ↔ bytes inside a fitted featurizer; unpacked to where loaders can read them."""

from __future__ import annotations

import atexit
import copy
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import WeightsError
from ..process import keep

if TYPE_CHECKING:
    from ..backbones import Backbone

Files = dict[str, NDArray[np.uint8]]

# One name, or a folder and a name: no way out of the place where they are unpacked, and nothing
# that any loader would run.
_ALLOWED = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)?[A-Za-z0-9_][A-Za-z0-9_.-]*\.(?:json|txt|model|safetensors)"
)
_unpacked: dict[tuple[int, str], Path] = {}
keep(
    f"{__name__}._unpacked",
    "networks that came inside an estimator's file, unpacked",
    clear=_unpacked.clear,
    size=_unpacked.__len__,
)


def digest_of(files: Mapping[str, NDArray[np.uint8]]) -> str:
    """Hash the names and contents of files."""
    parts = [f"{name}={hashlib.sha256(data.data).hexdigest()}" for name, data in files.items()]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def pack(backbone: Backbone, pinned: str) -> dict[str, Any]:
    """Collect what a machine without the network needs: safetensors, configuration, tokenizer."""
    from ..backbones import LocalFile, RandomWeights, files_of

    if isinstance(backbone.weights, RandomWeights):
        raise WeightsError(
            f"{backbone.name} has random weights (weights=None); there is nothing to embed."
        )
    found = backbone.weights.digest()
    if found != pinned:
        raise WeightsError(
            f"The weights of {backbone.name} are not those that were pinned at fit: SHA-256 "
            f"{pinned} was pinned, {found} was found. The estimator was fitted with other weights "
            "than those that would be embedded."
        )
    files = {name: np.frombuffer(data, np.uint8) for name, data in files_of(backbone).items()}
    return {
        "files": files,
        "sha256": digest_of(files),
        "stands_for": pinned,
        "was_path": isinstance(backbone.weights, LocalFile) and backbone.revision is None,
    }


def unpack(embedded: Mapping[str, Any]) -> Path:
    """Write embedded files into a folder of this process, once, and return it."""
    files: Files = embedded["files"]
    key = (os.getpid(), embedded["sha256"])
    # Some machines empty their folder for temporary files now and then.
    if key in _unpacked and all((_unpacked[key] / name).is_file() for name in files):
        return _unpacked[key]
    wrong = [name for name in files if not _ALLOWED.fullmatch(name)]
    if wrong:
        raise WeightsError(
            f"The embedded weights contain a file named {wrong[0]!r}, which this package never "
            "writes. Do not trust the file that this estimator was loaded from."
        )
    found = digest_of(files)
    if found != embedded["sha256"]:
        raise WeightsError(
            f"The embedded weights are damaged: their SHA-256 is {found}, but "
            f"{embedded['sha256']} was written. Get a new copy of the estimator's file."
        )
    folder = Path(tempfile.mkdtemp(prefix="sklearn-pretrained-"))
    atexit.register(_remove, folder, os.getpid())
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.data)
    _unpacked[key] = folder
    return folder


def _remove(folder: Path, owner: int) -> None:
    """Remove what this process unpacked; a forked child leaves it to its parent."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def stand_in(
    featurizer: Any, embedded: Mapping[str, Any]
) -> tuple[Any, Callable[[Backbone], Backbone]]:
    """Return a twin that finds its network among the carried files, and what dresses it so."""
    from ..backbones import WEIGHTS_FILE, EmbeddedWeights

    folder = unpack(embedded)
    twin = copy.copy(featurizer)
    is_file = set(embedded["files"]) == {WEIGHTS_FILE}
    if not is_file:
        twin.model, twin.weights = str(folder), "default"
    elif embedded["was_path"] or not isinstance(featurizer.model, str):
        twin.weights = folder / WEIGHTS_FILE

    def dress(found: Backbone) -> Backbone:
        backbone = copy.copy(found)
        weights = next(name for name in embedded["files"] if name.endswith(".safetensors"))
        backbone.weights = EmbeddedWeights(folder / weights, stands_for=embedded["stands_for"])
        if not is_file:
            backbone.name = featurizer.model_
        return backbone

    return twin, dress
