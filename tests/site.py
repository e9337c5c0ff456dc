"""The built site in a real browser: every page, wide and narrow.

    sphinx-build -W -b html docs docs/_build/html
    python -m tests.site docs/_build/html    # --pictures FOLDER keeps a picture of each page

Nothing scrolls sideways, nothing is said on the console, no internal link is dead, search finds
what it should, and axe finds no serious fault of accessibility. Needs Chromium.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

WIDTHS = (1280, 390)
SEARCHED = (
    *("GridSearchCV", "joblib", "pooling", "cache", "provenance"),
    *("ONNX", "BERT", "torchvision", "FineTunedClassifier", "duplicates"),
)


# What the tools do, and where: docutils gives lists of references a role for one whose children it
# does not name, sphinx-gallery hides the link of a thumbnail below its title, and scikit-learn's
# diagrams of pipelines have buttons inside what opens and closes.
_NOT_OURS = {
    "aria-required-children": "",
    "link-name": "auto_examples/",
    "nested-interactive": "auto_examples/",
}
_LINK = re.compile(r'<a\b[^>]*\bhref="(?![a-z]+:|//)([^"?]+)"')


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""

    def end_headers(self) -> None:
        """Let the browser keep what all pages share."""
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file, unless the browser has left the page meanwhile."""
        with suppress(ConnectionError):
            super().copyfile(source, outputfile)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def look(page: Page, address: str, name: str, width: int, pictures: Path | None) -> Iterator[str]:
    """Open one page at one width, and yield what is wrong with it."""
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: said.append(str(one)))
    page.goto(f"{address}/{name}")
    page.wait_for_load_state("load")
    yield from (f"console: {line}" for line in said)
    sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if sideways > 0:
        yield f"scrolls {sideways} pixels sideways"
    if width == max(WIDTHS):
        for violation in Axe().run(page).response["violations"]:
            theirs = name.startswith(_NOT_OURS.get(violation["id"], "no page"))
            if violation["impact"] in {"serious", "critical"} and not theirs:
                where = violation["nodes"][0]["target"]
                yield f"axe: {violation['id']} ({violation['help']}), first at {where}"
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        picture = pictures / f"{name.replace('/', '_').removesuffix('.html')}-{width}.png"
        page.screenshot(path=picture, full_page=True)


def dead_links(folder: Path, name: str) -> Iterator[str]:
    """Follow the internal links of a page, anchors included, without a browser."""
    here = folder / name
    for link in sorted(set(_LINK.findall(here.read_text()))):
        path, _, anchor = unquote(link).partition("#")
        there = (here.parent / path).resolve() if path else here
        if not there.is_file():
            yield f"dead link: {link}"
        elif anchor and there.suffix == ".html" and anchor not in _anchors(there):
            yield f"dead anchor: {link}"


@functools.cache
def _anchors(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', page.read_text()))


def searched(browser: Browser, address: str) -> Iterator[str]:
    """Search for words, and yield those that are not found."""
    page = browser.new_page()
    for word in SEARCHED:
        page.goto(f"{address}/search.html?q={word}")
        try:
            page.wait_for_selector("#search-results li a", timeout=15_000)
        except Exception:
            yield f"search does not find {word!r}"
    page.close()


def faults(folder: Path, pictures: Path | None = None) -> dict[str, list[str]]:
    """Return what is wrong, by page and width; nothing where all is well."""
    names = sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*.html")
        if not {"_modules", "_static"} & set(path.relative_to(folder).parts)
    )
    found: dict[str, list[str]] = {}
    with served(folder) as address, sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome")
        )
        context = browser.new_context()
        for name in names:
            for width in WIDTHS:
                page = context.new_page()
                page.set_viewport_size({"width": width, "height": 900})
                found[f"{name} at {width}"] = list(look(page, address, name, width, pictures))
                page.close()
            found[f"{name}, links"] = list(dead_links(folder, name))
        found["search"] = list(searched(browser, address))
        browser.close()
    return {where: what for where, what in found.items() if what}


def main(arguments: list[str]) -> int:
    """Print the faults; the exit status counts them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path)
    chosen = parser.parse_args(arguments)
    found = faults(chosen.folder, chosen.pictures)
    for where, what in found.items():
        print(where, *what, sep="\n    ")
    pages = len(list(chosen.folder.rglob("*.html")))
    print(f"{sum(map(len, found.values()))} faults in {pages} pages")
    return min(sum(map(len, found.values())), 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
