"""What decides a graph → the graph, where an earlier process made it and left it in a folder.

To make a graph of a network takes seconds, to read one takes none. What is read is only ever a
proposal: some of its rows are compared with torch's in each process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from blake3 import blake3
from torch import Tensor

from ... import _version
from ...backbones import Backbone
from ...process import quiet
from ...recipe import fingerprint
from .._runner import Outputs

VARIABLE = "SKLEARN_PRETRAINED_GRAPHS"
"""Names the folder, or "0" for none."""
FORMAT = 2
MOST_BYTES = 2 << 30
"""Of all graphs together; those that were read least recently go first."""
_FILES = ("graph.xml", "graph.bin")
_BEGUN = ".graph-"
"""How a folder is called in which a graph is being written."""
_ABANDONED = 86_400
"""Seconds after which nobody writes a graph any more."""
_SUM = "blake3"


def folder() -> Path | None:
    """Return the folder of graphs, beside the weights that torch keeps; None for none."""
    said = os.environ.get(VARIABLE)
    if said is None:
        return Path(torch.hub.get_dir()) / "sklearn_pretrained" / "graphs"
    try:
        return None if said in {"", "0"} else Path(said).expanduser()
    except RuntimeError:  # of a user that is not known
        return None


def name_of(backbone: Backbone, outputs: Outputs, given: Sequence[Tensor]) -> str | None:
    """Name a graph by all that decides it; None where another process could not tell the same.

    Parameters
    ----------
    backbone : Backbone
    outputs : sequence of (Layer, str)
        In their order.
    given : sequence of Tensor
        Over which it is traced.
    """
    if not backbone.lasting or backbone.build_trained():
        return None
    import openvino

    return fingerprint(
        {
            "format": FORMAT,
            "versions": [openvino.__version__, torch.__version__, _version.__version__],
            "network": [backbone.name, backbone.architecture, backbone.code, backbone.facts()],
            "weights": backbone.weights.digest(),
            "outputs": [repr(output) for output in outputs],
            "given": [[str(x.dtype), *x.shape, *x.stride()] for x in given],
        }
    )


@dataclass(frozen=True)
class Saved:
    """A graph as it was read, with the checksum of its files."""

    graph: Any
    checksum: str


@quiet
def read(name: str | None) -> Saved | None:
    """Return a graph that was saved, if it is there and whole."""
    place = folder()
    if name is None or place is None:
        return None
    try:
        structure, numbers = ((place / name / file).read_bytes() for file in _FILES)
        checksum = _sum_of(structure, numbers)
        is_whole = (place / name / _SUM).read_bytes() == checksum.encode()
    except OSError:  # it is not there, or not for us to read
        return None
    with contextlib.suppress(OSError):  # a folder that may only be read is of use too
        os.utime(place / name)
    if is_whole:
        import openvino

        with contextlib.suppress(Exception):
            return Saved(openvino.Core().read_model(structure, numbers), checksum)
    remove(name)  # and it is made again
    return None


@quiet
def save(name: str | None, graph: Any) -> None:
    """Save a graph as a whole or not at all; where that fails, the next process makes its own."""
    place = folder()
    if name is None or place is None:
        return
    import openvino

    with contextlib.suppress(OSError, RuntimeError):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(
            prefix=_BEGUN, dir=place, ignore_cleanup_errors=True
        ) as beside:
            made = Path(beside) / name
            made.mkdir()
            openvino.save_model(graph, made / _FILES[0], compress_to_fp16=False)
            parts = [(made / file).read_bytes() for file in _FILES]
            (made / _SUM).write_text(_sum_of(*parts))
            if sum(map(len, parts)) <= MOST_BYTES:
                made.rename(place / name)
        _make_room(place)


def remove(name: str | None) -> None:
    """Remove a graph whose rows are not those of torch."""
    place = place_of(name)
    if place is not None:
        shutil.rmtree(place, ignore_errors=True)


def place_of(name: str | None) -> Path | None:
    """Return where a graph lies if it was saved; None where it could not be."""
    place = folder()
    return None if name is None or place is None else place / name


def _sum_of(structure: bytes, numbers: bytes) -> str:
    return f"{blake3(structure).hexdigest()} {blake3(numbers).hexdigest()}"


def _make_room(place: Path) -> None:
    """Remove graphs until the others are small enough together, and what was left half written."""
    for one in place.glob(f"{_BEGUN}*"):
        if time.time() - one.stat().st_mtime > _ABANDONED:
            shutil.rmtree(one, ignore_errors=True)
    there = [one for one in place.iterdir() if (one / _SUM).is_file()]
    sizes = {one: sum(file.stat().st_size for file in one.iterdir()) for one in there}
    for one in sorted(there, key=lambda one: one.stat().st_mtime):
        if sum(sizes.values()) <= MOST_BYTES:
            break
        shutil.rmtree(one, ignore_errors=True)
        del sizes[one]
