"""What a run found → tables, and the pages in docs between their markers.

    python benchmarks/peers/report.py ~/.cache/sklearn-pretrained-benchmarks/results docs

writes the pages from the results of runs that were interrupted or written elsewhere.
"""

import json
import math
import platform
import sys
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import picture
from tasks import titled

LOADS = {"quiet": "a quiet machine", "busy": "while other processes keep half the cores busy"}
_UNITS = {
    "GEMM MKL": (1e9, "GFLOP/s, float32 matrices through MKL"),
    "GEMM oneDNN": (1e9, "GFLOP/s, float32 matrices through oneDNN"),
    "memory": (1e9, "GB/s, copies"),
    "JPEG": (1, "JPEG files of 640×480/s on one thread"),
}
_FASTEST = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
_USUAL = {"arrays": "naive_32", "files": "naive_32", "texts": "sentence_transformers"}
_PICTURE = "![Items per second of every contender, task by task](_static/benchmarks.png)"


def this_machine() -> str:
    """Name the processor, its widest vectors, and the system."""
    name, vectors = platform.processor() or platform.machine(), ""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text().splitlines()
        facts = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
        name, flags = facts.get("model name", name), facts.get("flags", "").split()
        vectors = next((f" ({v})" for v, f in _VECTORS.items() if f in flags), "")
    return f"{name}{vectors}, {platform.system()}, Python {platform.python_version()}"


_VECTORS = {"AMX": "amx_tile", "AVX-512": "avx512f", "AVX2": "avx2"}


def times(row: dict | None, ours: dict | None, load: str) -> list[float]:
    """Return how many times longer a contender takes, by round; nothing for other features."""
    rows = (row, ours)
    if not all(r and "failed" not in r and r["features"] != "other features" for r in rows):
        return []
    pairs = zip(row["seconds"].get(load, []), ours["seconds"].get(load, []), strict=False)
    return [theirs / mine for theirs, mine in pairs]


def shown(ratios: list[float]) -> str:
    """Write the median, and the smallest and the largest of the rounds."""
    if not ratios:
        return "–"
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def share(task: dict, row: dict, load: str) -> str:
    """Write the work of the network relative to what the machine's matrix products allow."""
    rates = task["machine"].get(load, {})
    limit = max((rate for key, rate in rates.items() if key.startswith("GEMM")), default=0)
    if not limit or not row.get("seconds", {}).get(load):
        return "–"
    return f"{task['flops'] / median(row['seconds'][load]) / limit:.0%}"


def task_table(name: str, task: dict) -> str:
    """Write one task's table: all contenders, each load in columns of its own."""
    rows, ours, loads = task["rows"], task["rows"].get("ours"), list(task["machine"])
    timed = [row for row in rows.values() if row["seconds"] and "failed" not in row]
    columns = ["contender"]
    for load in loads:
        columns += [f"{load}: items/s", "sklearn-pretrained is faster by", "share of the limit"]
    lines = [
        f"#### {name}: {_items(task)}\n",
        f"| {' | '.join([*columns, 'features'])} |",
        f"|---{'|--:' * 3 * len(loads)}|---|",
    ]
    for row in sorted(timed, key=lambda row: median(row["seconds"].get(loads[0], [math.inf]))):
        cells = [row["title"]]
        for load in loads:
            passes = row["seconds"].get(load)
            cells += [
                f"{task['count'] / median(passes):,.1f}" if passes else "–",
                "" if row is ours else shown(times(row, ours, load)),
                share(task, row, load),
            ]
        error = f" ({row['error']:.0e})" if math.isfinite(row["error"]) else ""
        lines.append(f"| {' | '.join([*cells, row['features'] + error])} |")
    lines += [f"\nNot timed: {r['title']}: {r['failed']}" for r in rows.values() if "failed" in r]
    for load in loads:
        rounds = max((len(row["seconds"].get(load, [])) for row in timed), default=0)
        limits = [
            f"{rate / _UNITS[key][0]:,.0f} {_UNITS[key][1]}"
            for key, rate in task["machine"][load].items()
        ]
        lines.append(f"\n{load.capitalize()}, {rounds} rounds: {'; '.join(limits)}.")
    return "\n".join([*lines, ""])


def _items(task: dict) -> str:
    whole = f" of {task['of']:,}" if task["count"] < task["of"] else ""
    return f"{task['count']:,}{whole} items"


def summary(found: dict) -> str:
    """Write one table for each load: a line a task, sklearn-pretrained beside the fastest peers."""
    loads = [k for k in LOADS if any(k in task["machine"] for task in found["tasks"].values())]
    return "\n".join(_one_load(found["tasks"], load) for load in loads)


def _one_load(tasks: dict, load: str) -> str:
    lines = [
        f"#### {load.capitalize()}\n",
        f"| {' | '.join(_SUMMARY)} |",
        f"|---{'|--:' * (len(_SUMMARY) - 1)}|",
    ]
    behind = {"ours": [], "ours_openvino": []}
    for task in tasks.values():
        rows = task["rows"]
        ours, engine = rows.get("ours", {}), rows.get("ours_openvino", {})
        passes = ours.get("seconds", {}).get(load)
        if not passes or "failed" in ours:
            continue
        title = titled(task)
        peers = [rows.get(name) for name in (*_FASTEST, _USUAL[task["kind"]])]
        cells = [
            *(title, f"{task['count'] / median(passes):,.1f}", share(task, ours, load)),
            *(shown(times(peer, ours, load)) for peer in peers),
            *(shown(times(rows.get(name), engine, load)) for name in _FASTEST),
        ]
        lines.append(f"| {' | '.join(cells)} |")
        for name, found in behind.items():
            for key, peer in rows.items():
                ratios = [] if key.startswith("ours") else times(peer, rows.get(name), load)
                if ratios and max(ratios) < 1:
                    found.append(f"{peer['title']} ({title})")
    for name, how in (("ours", "sklearn-pretrained"), ("ours_openvino", '`engine="openvino"`')):
        who = ", ".join(behind[name]) or "none"
        if any(
            times(task["rows"].get(name), task["rows"].get(name), load) for task in tasks.values()
        ):
            lines.append(f"\nPeers that were faster than {how} in every round: {who}.")
    return "\n".join([*lines, ""])


_SUMMARY = (
    "task",
    "items/s",
    "share of the limit",
    *(f"beside {title}" for title in _FASTEST.values()),
    "beside PyTorch or sentence-transformers",
    *(f'`engine="openvino"` beside {title}' for title in _FASTEST.values()),
)


def about(found: dict) -> str:
    """Write the day, the commands and the versions."""
    tasks = found["tasks"].values()
    dates = sorted({task["date"] for task in tasks})
    commands = ", ".join(f"`{command}`" for command in dict.fromkeys(t["command"] for t in tasks))
    rows = [row for task in tasks for row in task["rows"].values()]
    versions = {name: number for row in rows for name, number in row.get("versions", {}).items()}
    rounds = sorted(len(passes) for row in rows for passes in row["seconds"].values())
    counts = " to ".join(str(n) for n in dict.fromkeys([rounds[0], rounds[-1]]))
    return (
        f"{' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, "
        f"{found['machine'].partition(', ')[2]}, "
        f"{', '.join(f'{name} {number}' for name, number in sorted(versions.items()))}. "
        f"{commands}, {counts} rounds of a task. Above 1, sklearn-pretrained is faster.\n"
    )


def heading(found: dict) -> str:
    """Write the machine as a heading."""
    threads = f"{found['threads']} thread{'s' * (found['threads'] != 1)}"
    return f"### {found['machine'].partition(', ')[0]}, {threads}\n"


def details(found: dict) -> str:
    """Write every task's table."""
    return "\n".join(task_table(name, task) for name, task in found["tasks"].items())


def write(found: dict, output: Path) -> None:
    """Write the numbers, the tables and the picture into a folder."""
    (output / "peers.json").write_text(json.dumps(found, indent=1))
    texts = (heading(found), about(found), summary(found), details(found))
    (output / "peers.md").write_text("\n".join(texts))
    picture.plot(found, output / "peers.png")


def refresh(docs: Path, output: Path) -> None:
    """Put a run's tables between the markers of the pages, and picture and numbers beside them."""
    found = json.loads((output / "peers.json").read_text())
    results = f"{heading(found)}\n{about(found)}\n{_PICTURE}\n\n{summary(found)}"
    _put(docs / "benchmarks.md", "results", results)
    _put(docs / "benchmarks_tables.md", "details", f"{heading(found)}\n{details(found)}")
    (docs / "_static").mkdir(exist_ok=True)
    picture.plot(found, docs / "_static" / "benchmarks.png")
    (docs / "_static" / "benchmarks.json").write_text(json.dumps(found, indent=1) + "\n")


def _put(path: Path, name: str, text: str) -> None:
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = path.read_text().split(start)
    path.write_text(f"{before}{start}\n\n{text}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    refresh(docs=Path(sys.argv[2]), output=Path(sys.argv[1]))
