"""timm's record of a network → its configuration and where its weights lie; nothing is loaded."""

from __future__ import annotations

import difflib
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...exceptions import WeightsError
from ...process import need, remembered
from .._weights import LocalFile, TorchHubFile, check

_SAFE = {
    "pytorch_model.bin": "model.safetensors",
    "open_clip_pytorch_model.bin": "open_clip_model.safetensors",
}


def library() -> Any:
    """Import timm."""
    return need("timm", install="sklearn-pretrained[timm]", purpose="A network 'timm/…'")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the Hugging Face hub, or in its cache on this machine.

    Parameters
    ----------
    repository : str
        Owner and name, perhaps with ``@revision``.
    filename : str
        The one that timm names. Where the repository holds the same as safetensors, that is taken.
    """

    repository: str
    filename: str

    @property
    def _names(self) -> list[str]:
        safe = _SAFE.get(self.filename)
        if safe is None and self.filename.endswith(".bin"):
            safe = self.filename.removesuffix(".bin") + ".safetensors"
        return [safe, self.filename] if safe else [self.filename]

    @property
    def cached(self) -> Path | None:
        """The file's path, where it is on this machine."""
        from huggingface_hub import try_to_load_from_cache

        name, _, revision = self.repository.partition("@")
        for filename in self._names:
            path = try_to_load_from_cache(name, filename, revision=revision or None)
            if isinstance(path, str):
                return Path(path)
        return None

    def find(self) -> Path:
        """Return the file's path; downloads it where it is not there yet."""
        path = self.cached
        if path is not None:
            return path
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        name, _, revision = self.repository.partition("@")
        reason: Exception | None = None
        for filename in self._names:
            try:
                return Path(hf_hub_download(name, filename, revision=revision or None))
            except Exception as error:
                reason = error
                absent = isinstance(error, EntryNotFoundError)
                if isinstance(error, LocalEntryNotFoundError) or not absent:
                    break  # the hub cannot be asked; another file would fare no better
        raise WeightsError(
            f"The weights {self.describe()} are not on this machine and could not be downloaded: "
            f"{str(reason).splitlines()[0]} Connect to the internet once, pass the path of a copy "
            "as weights, or use a network that needs no download: model='mobilenet_v2'. The "
            "environment variable HF_HOME changes the folder that is searched."
        ) from reason

    def digest(self) -> str:
        """Find or download the file, and hash it."""
        return check(self.find(), "")

    def describe(self) -> str:
        """Return repository and file."""
        return f"{self.repository}/{self._names[0]}"


@dataclass(frozen=True)
class Record:
    """What timm knows of one network before it is built.

    Parameters
    ----------
    name : str
        What users call it, with its tag, without ``timm/``.
    architecture : str
        timm's name for the function that builds it.
    config : dict
        timm's ``pretrained_cfg``.
    arguments : dict
        For that function.
    """

    name: str
    architecture: str
    config: dict[str, Any]
    arguments: dict[str, Any]

    @property
    def source(self) -> HubFile | TorchHubFile | LocalFile | None:
        """Where its own pretrained weights are; None where it has none."""
        config = self.config
        if config.get("source") == "local-dir":
            return LocalFile(_in_folder(Path(config["file"])))
        if config.get("hf_hub_id"):
            name = config.get("hf_hub_filename") or "pytorch_model.bin"
            return HubFile(config["hf_hub_id"], name)
        if config.get("url"):
            stem = config["url"].rpartition("/")[2].partition(".")[0]
            tail = stem.rpartition("-")[2]
            known = len(tail) >= 8 and all(letter in "0123456789abcdef" for letter in tail)  # noqa: PLR2004
            return TorchHubFile(config["url"], tail if known else "")
        return None


def _in_folder(folder: Path) -> Path:
    for name in ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"The folder {folder} does not contain model.safetensors.")


@remembered("timm's list of networks")
def names() -> tuple[str, ...]:
    """List timm's networks, without their tags."""
    return tuple(library().list_models())


def suggest(name: str) -> list[str]:
    """List the names nearest to a mistaken one."""
    return difflib.get_close_matches(name.lower().partition(".")[0], names(), n=3, cutoff=0.3)


def record(name: str) -> Record:
    """Look a network up: a name, a name and tag, or ``hf_hub:org/name``, or ``local-dir:path``."""
    timm = library()
    source, _, place = name.partition(":")
    if place:
        return _saved(name, source.lower().replace("_", "-"), place)
    plain, _, tag = name.partition(".")
    if not timm.is_model(plain):
        near = " or ".join(repr(f"timm/{one}") for one in suggest(plain))
        hint = f" Did you mean {near}?" if near else ""
        raise ValueError(
            f"model={'timm/' + name!r}: timm {timm.__version__} has no network {plain!r}.{hint} "
            "list_backbones(source='timm') lists all of them."
        )
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ValueError(
            f"model={'timm/' + name!r}: timm {timm.__version__} has no weights {tag!r} for "
            f"{plain}, only {_tags(plain)}."
        ) from error
    if config is None:
        config = timm.models.PretrainedCfg()
    if config.tag and not tag:
        name = f"{plain}.{config.tag}"
    return Record(name, plain, asdict(replace(config, architecture=plain)), {})


def _tags(plain: str) -> str:
    tagged = library().list_models(f"{plain}.*", pretrained=True)
    return ", ".join(repr(one.partition(".")[2]) for one in tagged) or "none"


def _saved(name: str, source: str, place: str) -> Record:
    """Read the configuration that timm wrote beside weights, in a folder or on the hub."""
    from timm.models import PretrainedCfg, load_model_config_from_hf
    from timm.models._hub import load_model_config_from_path

    readers: dict[str, Any] = {
        "hf-hub": load_model_config_from_hf,
        "local-dir": load_model_config_from_path,
    }
    if source not in readers:
        raise ValueError(
            f"model={'timm/' + name!r}: {source!r} is not a place that timm reads from; use "
            "'timm/hf_hub:owner/name' or 'timm/local-dir:path'."
        )
    if source == "local-dir":
        place = os.path.abspath(os.path.expanduser(place))  # noqa: PTH100, PTH111  as timm has it
    try:
        config, architecture, arguments = readers[source](place)
    except Exception as error:
        raise WeightsError(
            f"model={'timm/' + name!r}: the configuration of {place!r} is not on this machine and "
            f"could not be downloaded or read: {str(error).splitlines()[0]} Pass "
            "'timm/local-dir:path' with a folder that has config.json and model.safetensors."
        ) from error
    known = {**asdict(PretrainedCfg()), **config, "architecture": architecture}
    return Record(f"{source}:{place}", architecture, known, dict(arguments or {}))
