"""The blocks of the page on scale, each run by the engine that it is about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from PIL import Image
from sklearn.datasets import load_sample_images

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def run_block(about: str) -> dict[str, Any]:
    """Run the only block that imports from a module of `engines`, over 20 photos."""
    blocks = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (block,) = [block for block in blocks if f"sklearn_pretrained.engines.{about} import" in block]
    Path("photos").mkdir()
    images = load_sample_images().images
    for i in range(20):
        Image.fromarray(images[i % 2][:64, 20 * i : 20 * i + 64]).save(f"photos/{i:02}.png")
    # A worker, or a machine that runs Java, may have started elsewhere.
    block = re.sub(r'"(photos|features-)', rf'"{Path.cwd()}/\1', block)
    names: dict[str, Any] = {}
    exec(block, names)
    return names
