"""Results of `python -m tests.onnx_zoo` → one line a network in a file, and the page of docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "_static" / "exported_networks.jsonl"
PAGE = DOCS / "exported_networks.md"
START, END = "<!-- results: start -->", "<!-- results: end -->"
TOLERANCE = 1e-4

EXCEPTIONS: dict[str, str] = {
    "Longformer": "its forward decides by the values of the mask, so that it is no single graph",
    "Mamba": "its scan is unrolled, so that its graph would hold for one length of text only",
    "timm/gemma4_vit_167m": "torch's exporter makes a graph of it that ONNX Runtime does not open",
}
"""Networks that do not go through, and why."""

_TITLES = {
    "torchvision": "torchvision's classifiers",
    "timm": "timm: the smallest network of each family",
    "images of transformers": "transformers: networks over images",
    "texts": "transformers: text encoders",
    "text towers": "transformers: text towers, with their projection",
}


def results() -> dict[tuple[str, str], dict[str, Any]]:
    """Read the last result of each network."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    found = [json.loads(line) for line in lines]
    return {(one["source"], one["network"]): one for one in found}


def known(source: str) -> set[str]:
    """List the networks of a source that have a result."""
    return {name for place, name in results() if place == source}


def keep(found: dict[str, Any]) -> None:
    """Add one line."""
    with RESULTS.open("a") as file:
        file.write(json.dumps(found) + "\n")


def write() -> None:
    """Write the page's tables, and keep only the last result of each network."""
    found = list(dict(sorted(results().items())).values())
    RESULTS.write_text("".join(json.dumps(one) + "\n" for one in found))
    PAGE.write_text(page(PAGE.read_text(), found))


def page(text: str, found: list[dict[str, Any]]) -> str:
    """Put the tables between the marks: a summary, what was left out and why, and the families."""
    before, rest = text.split(START)
    parts = [_summary(found), _exceptions(found)]
    for source, title in _TITLES.items():
        mine = [one for one in found if one["source"] == source]
        if mine:
            parts.append(f"## {title}\n\n{_families(mine)}")
    whole = "\n".join(filter(None, parts))
    return f"{before}{START}\n\n{whole}\n{END}{rest.split(END)[1]}"


def reason(one: dict[str, Any]) -> str:
    """Say why a network is not equal."""
    if one["network"] in EXCEPTIONS:
        return EXCEPTIONS[one["network"]]
    if "memory" in one:
        return f"exporting it takes more than the {one['memory']:g} GB that a network was given"
    return one.get("error") or f"its rows differ by {one['largest']:.1e}"


def _fine(one: dict[str, Any]) -> bool:
    return one.get("largest", float("inf")) <= TOLERANCE


def _farthest(group: list[dict[str, Any]]) -> str:
    return f"{max((one['largest'] for one in group if _fine(one)), default=0):.0e}"


def _summary(found: list[dict[str, Any]]) -> str:
    lines = [
        "| source | networks | equal | largest difference | with | |\n|---|--:|--:|--:|---|---|"
    ]
    for source, title in _TITLES.items():
        mine = [one for one in found if one["source"] == source]
        if not mine:
            continue
        numbers = f"{len(mine)} | {sum(map(_fine, mine))} | {_farthest(mine)}"
        packages = "; ".join(sorted({one["with"] for one in mine if "with" in one}))
        day = max(one.get("date", "") for one in mine)
        lines.append(f"| {title} | {numbers} | {packages} | {day} |")
    return "\n".join(lines) + "\n"


def _exceptions(found: list[dict[str, Any]]) -> str:
    rest = [one for one in found if not _fine(one)]
    lines = [f"| `{one['network']}` | {reason(one)} |" for one in rest]
    return "\n".join(["| not exported | why |\n|---|---|", *lines]) + "\n" if rest else ""


def _families(found: list[dict[str, Any]]) -> str:
    families: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        families.setdefault(one["family"], []).append(one)
    lines = ["| family | equal | network | largest difference |\n|---|--:|---|--:|"]
    for family, group in sorted(families.items(), key=lambda item: item[0].lower()):
        names = [one["network"] for one in group]
        shown = f"`{names[0]}`" if len(names) == 1 else f"`{names[0]}`, …"
        far = _farthest(group) if any(map(_fine, group)) else "–"
        lines.append(f"| {family} | {sum(map(_fine, group))} of {len(group)} | {shown} | {far} |")
    return "\n".join(lines) + "\n"
