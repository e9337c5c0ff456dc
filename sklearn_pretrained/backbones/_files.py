"""A backbone → the files that another machine would need for it, as bytes; and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ._backbone import Backbone
from ._weights import LocalFile, read

WEIGHTS_FILE = "weights.safetensors"
"""Holds a network's tensors, where the source has no folder of its own for it."""

_READ = ("*.json", "*.txt", "*.model", "*/config.json")


@dataclass(frozen=True)
class EmbeddedWeights(LocalFile):
    """Weights that came inside an estimator's file, which were checked when they were unpacked.

    Parameters
    ----------
    path : Path
    expected : str, default=""
    stands_for : str
        SHA-256 of the file that they were made from.
    """

    stands_for: str = ""

    def digest(self) -> str:
        """Return the digest of the file that they were made from."""
        self.find()
        return self.stands_for

    def describe(self) -> str:
        """Say where they came from."""
        return "embedded in the estimator's file"


def files_of(backbone: Backbone) -> dict[str, bytes]:
    """Read a network's files: tensors as safetensors, and what its source keeps beside them."""
    folder: Path | None = getattr(backbone, "folder", None)
    if folder is None:
        return {WEIGHTS_FILE: _saved(backbone)}
    weights = sorted(folder.glob("model*.safetensors"))
    paths = [path for pattern in _READ for path in sorted(folder.glob(pattern))] + weights
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in paths
        if path.is_file() and not path.name.startswith("pytorch_model")
    }
    for path in getattr(backbone, "trained_files", ()):
        name = (path.parent / "model.safetensors").relative_to(folder).as_posix()
        files[name] = path.read_bytes() if path.suffix == ".safetensors" else _bytes(read(path))
    return files if weights else {**files, "model.safetensors": _saved(backbone)}


def _saved(backbone: Backbone) -> bytes:
    return _bytes(backbone.build().state_dict())


def _bytes(state: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    # Tensors that are tied lie there twice: safetensors knows no references.
    return save({k: v.detach().clone().contiguous() for k, v in state.items()}, {"format": "pt"})
