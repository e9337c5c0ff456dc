"""A weights file: where it lies, whether it is the right one, and its tensors."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..exceptions import WeightsError
from ..process import Stamp, keep, remembered, stamp_of
from ._tensors import feed
from .identity import identity

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
EMBEDDED = Path(__file__).parent / "embedded"

_digests: OrderedDict[Stamp | None, str] = OrderedDict()
_MOST_DIGESTS = 256
keep(
    f"{__name__}._digests",
    "digests of weights files",
    clear=_digests.clear,
    size=_digests.__len__,
)


def sha256(path: Path) -> str:
    """Hash a file; an unchanged file is hashed once in a process."""
    stamp = stamp_of(path)
    if stamp in _digests:
        return _digests[stamp]
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if stamp is not None:
        _digests[stamp] = found
        if len(_digests) > _MOST_DIGESTS:
            _digests.popitem(last=False)
    return found


def check(path: Path, expected: str) -> str:
    """Return the SHA-256 of a file, which must begin with ``expected``."""
    found = sha256(path)
    if not found.startswith(expected):
        raise WeightsError(
            f"The weights file {path} is damaged or not the expected one: its SHA-256 is {found}, "
            f"but {expected} was expected. Delete the file and download it again."
        )
    return found


def missing(path: Path) -> WeightsError:
    """Return the error of a file that is not where it was named."""
    return WeightsError(
        f"There is no weights file at {path}. Copy it there from a machine that has it, or pass "
        "the path of a copy: set_params(weights=...)."
    )


@dataclass(frozen=True)
class LocalFile:
    """A file that the user or the package names.

    Parameters
    ----------
    path : Path
    expected : str, default=""
        What its SHA-256 must begin with.
    """

    path: Path
    expected: str = ""

    def digest(self) -> str:
        """Hash the file and check it."""
        return check(self.find(), self.expected)

    def find(self) -> Path:
        """Return the path of the file, which must be there."""
        if not os.path.isfile(self.path):  # noqa: PTH113  asked for each request
            raise missing(self.path)
        return self.path

    def describe(self) -> str:
        """Return the path."""
        return str(self.path)


@dataclass(frozen=True)
class TorchHubFile:
    """A file that torch's own hub folder holds, or that its address provides.

    Parameters
    ----------
    url : str
    expected : str
        What its SHA-256 must begin with; torchvision writes it into the file's name.
    """

    url: str
    expected: str

    @property
    def path(self) -> Path:
        """Where torchvision itself keeps the file."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def digest(self) -> str:
        """Find or download the file, hash it and check it."""
        return check(self.find(), self.expected)

    def find(self) -> Path:
        """Return the file's path; downloads it where it is not there yet."""
        path = self.path
        if path.is_file():
            return path
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
            raise self._missing("HF_HUB_OFFLINE is set, so nothing was downloaded")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Writes to a temporary name, checks the hash, and only then renames.
            torch.hub.download_url_to_file(self.url, str(path), hash_prefix=self.expected)
        except Exception as error:
            raise self._missing(f"the download failed: {error}") from None
        return path

    def _missing(self, reason: str) -> WeightsError:
        return WeightsError(
            f"The weights {self.path.name} are not on this machine ({reason}). They were expected "
            f"at {self.path}. Connect to the internet once, copy the file ({self.url}) there from "
            "another machine, pass the path of a copy as weights, or use a network that needs no "
            "download: model='mobilenet_v2'. The environment variable TORCH_HOME changes the "
            "folder."
        )

    def describe(self) -> str:
        """Return the address."""
        return self.url


@dataclass(frozen=True)
class _Random:
    """How to make a network with random weights, compared by what is made."""

    kind: type
    architecture: str
    make: Callable[[], nn.Module] = field(compare=False)


@remembered("digests of random weights")
def _random_digest(random: _Random) -> str:
    return digest_of(random.make())


@dataclass(frozen=True)
class RandomWeights:
    """Weights that a seed decides, the same in every process.

    Parameters
    ----------
    network : Backbone
        The network, whose method ``random`` makes them.
    """

    network: Any

    def digest(self) -> str:
        """Hash the tensors."""
        network = self.network
        return _random_digest(_Random(type(network), network.architecture, network.random))

    def describe(self) -> str:
        """Say what they are."""
        return "random numbers"


def read(path: Path) -> Mapping[str, Tensor]:
    """Read a state dict; memory-mapped where the format allows, and never by running code."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"{path} is not a valid safetensors file: {error}.") from error
    try:
        state = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except Exception as error:
        # torch's own message, which advises to run what is in the file, stays out of the traceback.
        raise WeightsError(
            f"{path} could not be read as a file of weights only: {without_advice(error)}. Save "
            "the state dict of the network as safetensors, or with "
            "torch.save(network.state_dict(), path)."
        ) from None
    if isinstance(state, Mapping) and "state_dict" in state:
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path} does not contain a state dict (names and tensors).")
    return state


def without_advice(error: Exception) -> str:
    """Say why torch could not read a file, without its advice of ``weights_only=False``.

    That would run whatever code is in the file.
    """
    said = str(error)
    if held := re.search(r"GLOBAL (\S+)", said):
        return f"it holds {held[1]}, which is not a tensor and could run code"
    said = "" if "weights_only" in said else said.partition("\n")[0].partition(". ")[0].rstrip(". ")
    return said if " " in said else f"it is damaged or of another format ({type(error).__name__})"


def fill(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Put a state dict into a network that may lie on the meta device."""
    state = OrderedDict(state)
    if not hasattr(state, "_metadata"):  # safetensors has no place for the modules' versions
        state._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"The weights in {where} do not fit the network: {error}") from error


def digest_of(network: nn.Module) -> str:
    """Hash a network's weights, names and shapes, and the names of its parts."""
    hasher = hashlib.sha256(_ADDRESS.sub("", repr(network)).encode())
    for name, tensor in sorted(network.state_dict().items()):
        if not isinstance(tensor, Tensor):
            hasher.update(f"{name}={identity(tensor).key}".encode())
            continue
        hasher.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        feed(tensor, hasher.update)
    return hasher.hexdigest()
