"""A machine → its devices, the fast paths that it allows, and a trial of both."""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._findings import AMISS, FINE, Finding, size

if TYPE_CHECKING:
    from ..running.eager._internals import Internal

_PICTURES, _BOUND = 32, 1e-5


def devices() -> list[Finding]:
    """List what networks can run on."""
    import torch

    from ..running import resolve_devices

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor = f"{cores} cores, {torch.get_num_threads()} threads"
    found = [
        Finding("cpu", processor, _processor()),
        Finding("cpu, bfloat16", _native("cpu"), _BFLOAT16[_native("cpu")]),
    ]
    for i in range(torch.cuda.device_count()):
        of = torch.cuda.get_device_properties(i)
        found.append(Finding(f"cuda:{i}", of.name, size(of.total_memory)))
    if torch.backends.mps.is_available():
        found.append(Finding("mps", "available"))
    chosen = resolve_devices("auto")[0].type
    without = "" if chosen != "cpu" else "torch finds no GPU" + _why_no_gpu()
    return [*found, Finding('device="auto"', chosen, without)]


_BFLOAT16 = {
    "native": 'dtype="auto" is bfloat16, which is faster; rows move by a percent',
    "emulated": 'slow; dtype="auto" is float32',
}


def _native(device: str) -> str:
    import torch

    from ..running.eager.fast import is_native

    return "native" if is_native(torch.bfloat16, torch.device(device)) else "emulated"


def _why_no_gpu() -> str:
    import torch

    return "" if torch.version.cuda else "; this torch is built without CUDA"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if names:
            return names[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def fast_paths() -> list[Finding]:
    """Tell whether networks are made faster, and whether what that needs of libraries is there."""
    from ..running.eager._internals import INTERNALS
    from ..running.eager.fast import fast_paths
    from ..running.eager.fast._switch import VARIABLE

    on = fast_paths()
    said = "" if on else f"unset {VARIABLE} to turn them on"
    found = [Finding("fast paths", "on" if on else f"off ({VARIABLE}=0)", said)]
    for library in dict.fromkeys(one.library for one in INTERNALS):
        if find_spec(library) is None:  # an extra
            continue
        of = [one for one in INTERNALS if one.library == library]
        gone = [one for one in of if not _works(one)]
        told = f"{len(of) - len(gone)} of {len(of)} there"
        found.append(Finding(f"undocumented parts of {library}", told))
        found += [Finding(one.purpose, "missing", one.without, AMISS) for one in gone]
    return found


def _works(internal: Internal) -> bool:
    try:
        return internal.probe()
    except Exception:  # a release has moved what it looks for
        return False


def trial() -> list[Finding]:
    """Run the default network with and without fast paths, and compare the rows."""
    from ..running.eager.fast._switch import VARIABLE

    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 256, (_PICTURES, 256, 256, 3), dtype=np.uint8))
    set_by_user = os.environ.get(VARIABLE)
    try:
        os.environ[VARIABLE] = "0"
        plain, plainly = _timed(pictures)
        os.environ[VARIABLE] = "1"
        rows, quickly = _timed(pictures)
    finally:
        os.environ.pop(VARIABLE)
        if set_by_user is not None:
            os.environ[VARIABLE] = set_by_user
    far = float((np.linalg.norm(rows - plain, axis=1) / np.linalg.norm(plain, axis=1)).max())
    return [
        Finding("mobilenet_v2, fast paths off", f"{plainly:.0f} images/s"),
        Finding("mobilenet_v2, fast paths on", f"{quickly:.0f} images/s"),
        Finding(
            "largest difference of a row",
            f"{far:.0e}",
            f"{_BOUND:.0e} of its norm is allowed",
            FINE if far <= _BOUND else AMISS,
        ),
    ]


def _timed(pictures: list[Any]) -> tuple[NDArray[np.float32], float]:
    from .. import PretrainedImageFeaturizer, release

    featurizer = PretrainedImageFeaturizer(cache=None).fit(pictures).warm_up()
    featurizer.transform(pictures[:8])
    start = perf_counter()
    rows = featurizer.transform(pictures)
    took = perf_counter() - start
    release()
    return rows, len(pictures) / took
