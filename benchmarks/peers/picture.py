"""What a run found → every contender's items per second as bars, task by task."""

import math
from pathlib import Path
from statistics import median

from tasks import titled

_OURS, _OTHERS = ("#e8833a", "#f5c9a6"), ("#8fa3b8", "#d3dbe3")  # quiet, busy


def plot(found: dict, path: Path) -> None:
    """Draw a bar for each load; other features are hatched."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    tasks = found["tasks"]
    columns = min(3, len(tasks))
    height = math.ceil(len(tasks) / columns)
    figure, axes = plt.subplots(
        height, columns, figsize=(4.6 * columns, 2.8 * height), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(tasks) :]:
        axis.set_visible(False)
    loads = [
        load for load in ("quiet", "busy") if any(load in t["machine"] for t in tasks.values())
    ]
    for axis, task in zip(axes.flat, tasks.values(), strict=False):
        _bars(axis, task, loads)
        axis.set_title(titled(task), fontsize=9)
    shades = [_OTHERS[load == "busy"] for load in loads]
    handles = [Patch(color=shade, label=load) for shade, load in zip(shades, loads, strict=True)]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=8)
    figure.supxlabel("items per second; hatched: other features than everyone else's", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axis, task: dict, loads: list[str]) -> None:
    rows = [row for row in task["rows"].values() if row["seconds"] and "failed" not in row]
    rows.sort(key=lambda row: max(median(seconds) for seconds in row["seconds"].values()))
    thick = 0.8 / len(loads)
    for k, load in enumerate(loads):
        places = [i + (k - (len(loads) - 1) / 2) * thick for i in range(len(rows))]
        rates = [
            task["count"] / median(row["seconds"][load]) if load in row["seconds"] else 0
            for row in rows
        ]
        bars = axis.barh(places, rates, thick, edgecolor="white")
        for bar, row in zip(bars, rows, strict=True):
            ours = row["title"].strip("*").startswith("sklearn-pretrained")
            bar.set_facecolor((_OURS if ours else _OTHERS)[load == "busy"])
            if row["features"] == "other features":
                bar.set_hatch("//")
        axis.bar_label(bars, fmt="%.3g", padding=2, fontsize=7)
    axis.set_yticks(
        range(len(rows)), [row["title"].replace("*", "").replace(", ", ",\n") for row in rows]
    )
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
