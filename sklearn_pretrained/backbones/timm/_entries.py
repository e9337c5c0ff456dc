"""What timm tells of its networks before they are built → entries of a table."""

from __future__ import annotations

import csv
from pathlib import Path

from ...process import remembered
from .._entry import AT_HAND, NO_WEIGHTS, TO_FETCH, Entry
from .._weights import LocalFile, TorchHubFile
from ._files import HubFile, library, record


@remembered("timm's list of networks")
def _known() -> tuple[tuple[str, str, int], ...]:
    timm = library()
    return tuple(
        (
            name,
            timm.model_entrypoint(name).__module__.rpartition(".")[2],
            timm.get_pretrained_cfg(name).input_size[1],
        )
        for name in timm.list_models()
    )


@remembered("what timm's networks cost")
def _costs() -> dict[str, tuple[int, int, float]]:
    """Read what benchmarks/timm_costs.py measured; networks newer than that are not in it."""
    with (Path(__file__).parent / "costs.csv").open(newline="") as file:
        return {
            line["name"]: (int(line["parameters"]), int(line["width"]), float(line["cost"]))
            for line in csv.DictReader(file)
        }


def entries() -> list[Entry]:
    """List timm's networks, each with its default weights."""
    cached = _hub_folders()
    return [
        Entry(
            f"timm/{name}",
            "timm",
            family,
            parameters=parameters,
            width=width,
            input_size=size,
            cost=cost,
            weights=_weights(name, cached),
        )
        for name, family, size in _known()
        for parameters, width, cost in [_costs().get(name, (None, None, None))]
    ]


def _hub_folders() -> set[str]:
    """List the repositories in the hub's cache; a look at each of a thousand would take long."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _weights(name: str, cached: set[str]) -> str:
    file = _file(name)
    if file is None:
        return NO_WEIGHTS
    if isinstance(file, HubFile):
        folder = "models--" + file.repository.partition("@")[0].replace("/", "--")
        return AT_HAND if folder in cached and file.cached is not None else TO_FETCH
    return AT_HAND if file.path.is_file() else TO_FETCH


@remembered("where timm's weights lie")
def _file(name: str) -> HubFile | TorchHubFile | LocalFile | None:
    return record(name).source
