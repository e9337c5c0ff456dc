"""The results on the page of benchmarks → the figure at the top of the README.

    python benchmarks/readme_figure.py

Items per second of the first machine on the page, quiet and busy, relative to plain PyTorch.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = Path(__file__).parent.parent
PLAIN, OURS = "PyTorch, batches of 32", "sklearn-pretrained"
TASKS = {
    "arrays-mobilenet_v2": "MobileNetV2\nimages in memory",
    "files-mobilenet_v2": "MobileNetV2\nJPEG files",
    "texts-minilm-3000": "MiniLM\ntexts",
    "arrays-resnet18": "ResNet-18\nimages in memory",
}
COLORS = {PLAIN: "#8c8c8c", "OpenVINO": "#9ecae1", "ONNX Runtime": "#6baed6", OURS: "#d95f0e"}


def sections(page):
    """Return the date, and for each section of the page its rates by task and contender."""
    found = {}
    for part in re.split(r"^### ", page, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        tasks = {}
        for one in re.split(r"^#### ", text, flags=re.MULTILINE)[1:]:
            rows = re.findall(r"^\| \**([^|*]+?)\** \| ([\d.]+) \|", one, flags=re.MULTILINE)
            tasks[one.split(":")[0]] = {name: float(rate) for name, rate in rows}
        date = re.search(r"\d{4}-\d\d-\d\d", text)
        found[title] = (date.group() if date else "", tasks)
    return found


def main():
    """Draw the figure."""
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    every = sections(page)
    machine = next(title for title in every if title.endswith(", busy")).rpartition(",")[0]
    shown = [(how, *every[f"{machine}, {how}"]) for how in ("quiet", "busy")]
    both = [name for name in TASKS if all(name in tasks for _, _, tasks in shown)]
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharex=True, sharey=True, layout="constrained")
    for ax, (how, _, tasks) in zip(axes, shown, strict=True):
        for k, (who, color) in enumerate(COLORS.items()):
            times = [tasks[name].get(who, 0) / tasks[name][PLAIN] for name in both]
            places = [i + (1.5 - k) * 0.2 for i in range(len(both))]
            ax.barh(places, times, 0.2, color=color, label=who)
            if who == OURS:
                for place, x in zip(places, times, strict=True):
                    ax.text(x + 0.05, place, f"{x:.1f} ×", va="center", weight="bold", fontsize=10)
        ax.set_yticks(range(len(both)), [TASKS[name] for name in both], fontsize=10)
        ax.set_title("a quiet machine" if how == "quiet" else "one of two cores busy")
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.18)
    axes[0].invert_yaxis()
    fig.supxlabel(
        f"items/s, plain PyTorch = 1; the same features; two cores, {shown[0][1]}", size=10
    )
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    fig.savefig(ROOT / "docs" / "_static" / "readme.png", dpi=120, facecolor="white")


if __name__ == "__main__":
    main()
