"""The environment → versions of what this package needs, and which extras are there."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from .. import __version__
from ..process import need, need_torchvision
from ._findings import AMISS, Finding

NAME = "sklearn-pretrained"
_OF_DEVELOPERS = {"dev", "docs", "test"}


def packages() -> list[Finding]:
    """Compare the versions that are installed with those that are needed."""
    needed = [one for one in _required() if one.marker is None]
    return [
        Finding("Python", platform.python_version()),
        Finding(NAME, __version__),
        *(_package(one.name, one.specifier) for one in needed),
        *_pair(),
    ]


def _pair() -> list[Finding]:
    """Tell of a torchvision that was built for another torch: nothing else can be tried then."""
    try:
        need_torchvision()
    except ImportError as error:
        return [Finding("torch and torchvision", "do not load", str(error), AMISS)]
    return []


def _package(name: str, wanted: Any) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name, "missing", f"needs {wanted}", AMISS)
    if not wanted.contains(version, prereleases=True):
        return Finding(name, version, f"needs {wanted}: pip install --upgrade {name}", AMISS)
    return Finding(name, version)


def extras() -> list[Finding]:
    """Tell which extras are installed, and what installs the others."""
    found = []
    for extra in _extras():
        of = [
            one
            for one in _required()
            if one.marker is not None and one.marker.evaluate({"extra": extra})
        ]
        missing = [one.name for one in of if _version(one.name) is None]
        have = ", ".join(f"{one.name} {_version(one.name)}" for one in of if one.name != NAME)
        if missing:
            found.append(Finding(extra, "-", f"pip install '{NAME}[{extra}]'"))
        else:
            found.append(Finding(extra, have))
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _required() -> list[Any]:
    """Return what this package's metadata says that it needs."""
    why = {"install": "sklearn-pretrained[command]", "purpose": "doctor"}
    requirements = need("packaging.requirements", **why)
    return [requirements.Requirement(line) for line in metadata.requires(NAME) or ()]


def _extras() -> list[str]:
    every = metadata.metadata(NAME).get_all("Provides-Extra") or []
    return [extra for extra in every if extra not in _OF_DEVELOPERS]
