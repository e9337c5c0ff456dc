"""The results on the page of benchmarks → the figure at the top of the README.

    python benchmarks/readme_figure.py

Items per second of the machine that `benchmarks/peers/run.py --both --write docs` ran on, quiet and
busy, relative to plain PyTorch.
"""

import json
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt

STATIC = Path(__file__).parent.parent / "docs" / "_static"
TASKS = {
    "arrays-mobilenet_v2": "MobileNetV2\nimages in memory",
    "files-mobilenet_v2": "MobileNetV2\nJPEG files",
    "texts-minilm-300": "MiniLM\ntexts",
    "arrays-resnet18": "ResNet-18\nimages in memory",
}
PLAIN, OURS = "naive_32", "ours"
SHOWN = {
    PLAIN: ("PyTorch, batches of 32", "#8c8c8c"),
    "openvino": ("OpenVINO", "#9ecae1"),
    "onnxruntime": ("ONNX Runtime", "#6baed6"),
    OURS: ("sklearn-pretrained", "#d95f0e"),
}


def main():
    """Draw the figure."""
    found = json.loads((STATIC / "benchmarks.json").read_text())
    tasks = {name: found["tasks"][name] for name in TASKS if name in found["tasks"]}
    date = max(task["date"] for task in tasks.values())
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharex=True, sharey=True, layout="constrained")
    for ax, load in zip(axes, ("quiet", "busy"), strict=True):
        for k, (who, (title, color)) in enumerate(SHOWN.items()):
            rows = [task["rows"] for task in tasks.values()]
            times = [
                median(row[PLAIN]["seconds"][load]) / median(row[who]["seconds"][load])
                for row in rows
            ]
            places = [i + (1.5 - k) * 0.2 for i in range(len(tasks))]
            ax.barh(places, times, 0.2, color=color, label=title)
            if who == OURS:
                for place, x in zip(places, times, strict=True):
                    ax.text(x + 0.05, place, f"{x:.1f} ×", va="center", weight="bold", fontsize=10)
        ax.set_yticks(range(len(tasks)), [TASKS[name] for name in tasks], fontsize=10)
        ax.set_title("a quiet machine" if load == "quiet" else "half the cores busy")
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0.18)
    axes[0].invert_yaxis()
    fig.supxlabel(
        f"items/s, plain PyTorch = 1; the same features; {found['threads']} threads, {date}",
        size=10,
    )
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    fig.savefig(STATIC / "readme.png", dpi=120, facecolor="white")


if __name__ == "__main__":
    main()
