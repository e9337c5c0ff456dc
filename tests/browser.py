"""The example page in a real browser: an exported pipeline classifies ten images.

    python -m tests.browser                        # fetches onnxruntime-web by npm
    python -m tests.browser --package FOLDER       # what `npm pack` gave, unpacked
    python -m tests.browser --picture page.png     # keeps a picture of the page

The labels must be the pipeline's, and probabilities may differ by 0.02, since a browser has its own
decoder for JPEG. Needs Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer, export_onnx

from .site import served

PAGE = Path(__file__).parents[1] / "examples" / "browser" / "index.html"
VERSION = "1.30.0"
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
_CDN = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}"


def package(folder: Path) -> Path:
    """Fetch onnxruntime-web from npm's registry."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    name = f"onnxruntime-web@{VERSION}"
    subprocess.run([npm, "pack", "--silent", name], cwd=folder, check=True, timeout=300)
    with tarfile.open(next(folder.glob("onnxruntime-web-*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


def pipeline_and_images(folder: Path) -> tuple[Any, list[Path]]:
    """Fit a pipeline on patches of two photographs, and write ten others as files."""
    palace, flower = load_sample_images().images
    names, patches, paths = [], [], []
    for name, photo in (("palace", palace), ("flower", flower)):
        for i in range(12):
            top, left = (i % 3) * 80, (i // 3) * 120
            patches.append(photo[top : top + 200, left : left + 220])
            names.append(name)
        for i in range(5):
            path = folder / f"{name}-{i}.{'png' if i % 2 else 'jpg'}"
            exif = Image.Exif()
            exif[0x0112] = 6 if i == 4 else 1
            part = photo[10 + 30 * i : 250 + 30 * i, 20 + 50 * i : 340 + 50 * i]
            Image.fromarray(part).save(path, exif=exif)
            paths.append(path)
    made = make_pipeline(PretrainedImageFeaturizer(), LogisticRegression(C=0.01, max_iter=1000))
    made.fit(patches, names)
    export_onnx(made, folder / "model.onnx", examples=patches[::4], inputs="pixels")
    shutil.copy(PAGE, folder)
    return made, paths


def answers(folder: Path, paths: list[Path], web: Path, picture: Path | None) -> Iterator[Any]:
    """Give the page each image, and yield what it shows."""
    with served(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome")
        )
        page = browser.new_page(viewport={"width": 760, "height": 620})
        page.route(
            f"{_CDN}/**",
            lambda route: route.fulfill(
                path=web / route.request.url.removeprefix(f"{_CDN}/"),
                headers={
                    "access-control-allow-origin": "*",
                    "content-type": _TYPES[Path(route.request.url).suffix],
                },
            ),
        )
        page.goto(f"{address}/index.html")
        loading = "document.getElementById('probability').textContent != 'Loading the pipeline…'"
        page.wait_for_function(loading, timeout=120_000)
        if page.inner_text("#probability") != "Ready.":
            raise RuntimeError(page.inner_text("#probability"))
        for path in paths:
            page.evaluate("for (const id of ['label', 'probability']) show(id, '')")
            page.set_input_files("#file", path)
            page.wait_for_function("document.getElementById('probability').textContent")
            label, likely = (page.inner_text(f"#{name}") for name in ("label", "probability"))
            yield label, likely
        if picture is not None:
            page.screenshot(path=picture)
        browser.close()


def main(arguments: list[str]) -> int:
    """Print a table; the exit status counts the images that get another answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        web = chosen.package or package(folder)
        pipeline, paths = pipeline_and_images(folder)
        wanted = pipeline.predict(paths), pipeline.predict_proba(paths).max(axis=1)
        wrong = 0
        shown = answers(folder, paths, web, chosen.picture)
        for path, (label, likely), ours, sure in zip(paths, shown, *wanted, strict=True):
            number = float(likely.removesuffix(" %")) / 100 if likely.endswith(" %") else np.nan
            same = label == ours and abs(number - sure) < 0.02
            wrong += not same
            verdict = "the same" if same else "DIFFERS"
            print(f"{path.name:14} {label} {number:.3f}  {ours} {sure:.3f}  {verdict}")
    print(json.dumps({"images": len(paths), "differ": wrong}))
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
