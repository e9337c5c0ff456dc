"""What a run found → tables, a plot, and the page in docs between its two markers."""

import math
import platform
import shutil
from pathlib import Path
from statistics import median

START, END = "<!-- results: start -->", "<!-- results: end -->"
_UNITS = {
    "GEMM MKL": (1e9, "GFLOP/s, float32 matrices through MKL"),
    "GEMM oneDNN": (1e9, "GFLOP/s, float32 matrices through oneDNN"),
    "memory": (1e9, "GB/s, copies"),
    "JPEG": (1, "JPEG files of 640×480/s on one thread"),
}


_COLUMNS = (
    "contender",
    "items/s",
    "sklearn-pretrained is faster by",
    "share of the GEMM limit",
    "features",
    "versions",
)


def this_machine() -> str:
    """Name the processor, its architecture and the system."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    return f"{name}, {platform.system()}, Python {platform.python_version()}"


def ratio(row: dict, ours: dict) -> float:
    """Return how many times longer a contender takes: the median over turns."""
    pairs = zip(row["seconds"], ours["seconds"], strict=False)
    return median(theirs / mine for theirs, mine in pairs)


def task_table(name: str, task: dict) -> str:
    """Write one task's table."""
    rows, ours = task["rows"], task["rows"].get("ours")
    limit = max(rate for key, rate in task["machine"].items() if key.startswith("GEMM"))
    timed = {key: row for key, row in rows.items() if row["seconds"] and "failed" not in row}
    lines = [
        f"#### {name}: {task['count']} items\n",
        f"| {' | '.join(_COLUMNS)} |",
        "|---|--:|--:|--:|---|---|",
    ]
    for row in sorted(timed.values(), key=lambda row: median(row["seconds"])):
        seconds = median(row["seconds"])
        same = row["features"] != "other features"
        times = f"{ratio(row, ours):.2f} ×" if ours and ours["seconds"] and same else "–"
        error = f" ({row['error']:.0e})" if math.isfinite(row["error"]) else ""
        share = task["flops"] / seconds / limit
        versions = ", ".join(f"{name} {number}" for name, number in row["versions"].items())
        lines.append(
            f"| {row['title']} | {task['count'] / seconds:,.1f} | {times} | {share:.0%} "
            f"| {row['features']}{error} | {versions} |"
        )
    lines += [f"\nNot timed: {r['title']}: {r['failed']}" for r in rows.values() if "failed" in r]
    limits = [
        f"{rate / _UNITS[key][0]:,.0f} {_UNITS[key][1]}" for key, rate in task["machine"].items()
    ]
    return "\n".join([*lines, f"\nThe machine in the same run: {'; '.join(limits)}.\n"])


def page(found: dict) -> str:
    """Write all tables, with the command, the machine and the date."""
    head = (
        f"### {found['machine'].partition(',')[0]}, {'busy' if found['busy'] else 'quiet'}\n\n"
        f"`{found['command']}`, {found['date']}, {found['machine']}, {found['threads']} threads, "
        f"medians of {found['repeats']} passes"
        f"{', while other processes keep half the cores busy' if found['busy'] else ''}.\n"
    )
    return "\n".join([head, *(task_table(name, task) for name, task in found["tasks"].items())])


def plot(found: dict, path: Path) -> None:
    """Draw each task's items per second as bars; other features are hatched."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    tasks = found["tasks"]
    columns = min(3, len(tasks))
    height = math.ceil(len(tasks) / columns)
    figure, axes = plt.subplots(
        height, columns, figsize=(5.2 * columns, 3.4 * height), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(tasks) :]:
        axis.set_visible(False)
    for axis, (name, task) in zip(axes.flat, tasks.items(), strict=False):
        timed = [row for row in task["rows"].values() if row["seconds"] and "failed" not in row]
        timed.sort(key=lambda row: -median(row["seconds"]))
        rates = [task["count"] / median(row["seconds"]) for row in timed]
        titles = [row["title"].replace("*", "") for row in timed]
        bars = axis.barh(titles, rates, color="#b8c4d0", edgecolor="white")
        for bar, row in zip(bars, timed, strict=True):
            if row["title"].replace("*", "").startswith("sklearn-pretrained"):
                bar.set_facecolor("#e8833a")
            if row["features"] == "other features":
                bar.set_hatch("//")
        axis.bar_label(bars, fmt="%.3g", padding=2, fontsize=7)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("items per second; hatched: other features than everyone else's", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def refresh(docs: Path, output: Path) -> None:
    """Put a run's tables between the markers of the page, and its plot beside it."""
    page_path = docs / "benchmarks.md"
    before, rest = page_path.read_text().split(START)
    after = rest.split(END)[1]
    tables = (output / "peers.md").read_text()
    picture = "![Items per second of every contender, task by task](_static/benchmarks.png)"
    page_path.write_text(f"{before}{START}\n\n{picture}\n\n{tables}\n{END}{after}")
    (docs / "_static").mkdir(exist_ok=True)
    shutil.copy(output / "peers.png", docs / "_static" / "benchmarks.png")
