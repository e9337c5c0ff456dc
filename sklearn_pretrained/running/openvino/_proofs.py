"""A graph that was saved → whether its rows were torch's before, on processors like these.

Each process compares rows all the same, but fewer: a file that is damaged has another checksum, and
what else could be wrong (another processor, another version) has no proof here.
"""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path
from typing import Any

import torch

from ...process import remembered
from ...recipe import fingerprint

_PROVED = "proved-"
_SETTINGS = ("ONEDNN_", "DNNL_", "OV_", "ATEN_CPU_", "MKL_ENABLE_", "MKL_CBWR")
"""How the variables begin that choose instructions."""


def has_proof(place: Path | None, checksum: str) -> bool:
    """Tell whether a graph was proved by two batches.

    Parameters
    ----------
    place : Path or None
        The folder of the graph, called by all that decides it.
    checksum : str
        Of its files, as they were read.
    """
    return place is not None and _mark(place, checksum).is_file()


def keep_proof(place: Path | None, checksum: str) -> None:
    """Note that it was; where that fails, the next process proves it."""
    if place is not None:
        with contextlib.suppress(OSError):  # a folder may have been removed, or be read-only
            _mark(place, checksum).touch()


def _mark(place: Path, checksum: str) -> Path:
    facts = {"graph": place.name, "files": checksum, "machine": _machine(), "told": _told()}
    return place / f"{_PROVED}{fingerprint(facts)}"


def _told() -> dict[str, str]:
    return {name: said for name, said in os.environ.items() if name.startswith(_SETTINGS)}


@remembered("what this machine is")
def _machine() -> dict[str, Any]:
    """Describe the processors, as far as they may decide which instructions are run."""
    import openvino

    core = openvino.Core()
    return {
        "kind": platform.machine(),
        "name": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "openvino": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "torch": torch.backends.cpu.get_cpu_capability(),
        "flags": _flags(),
    }


def _flags() -> str:
    """Return what Linux says that a processor can do."""
    with (
        contextlib.suppress(OSError),
        open("/proc/cpuinfo", encoding="ascii", errors="replace") as told,
    ):
        for line in told:
            if line.startswith(("flags", "Features")):
                return line
    return ""
