"""The comparison with peers: what a run writes, and when features count as the same."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

PEERS = Path(__file__).parent.parent / "benchmarks" / "peers"


@pytest.fixture
def peers(monkeypatch):
    """Import modules of the benchmark by name, which are no part of the package."""
    monkeypatch.syspath_prepend(str(PEERS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in {path.stem for path in PEERS.glob("*.py")} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def docs(tmp_path):
    """Make the two pages that results are written to."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for page, name in [("benchmarks.md", "results"), ("benchmarks_tables.md", "details")]:
        text = f"before\n<!-- {name}: start -->\nold\n<!-- {name}: end -->\nafter\n"
        (folder / page).write_text(text)
    return folder


@pytest.mark.slow
def test_a_run_times_contenders_that_give_the_same_features(tmp_path, docs):
    """Quiet and busy, within a budget, task after task; a later run adds its own."""

    def run(*options):
        options += ("--peers", "ours,naive_32", "--threads", "1", "--cache", tmp_path / "cache")
        command = [sys.executable, PEERS / "run.py", "--minutes", "0.01", *options, "--write", docs]
        words = [str(word) for word in command]
        subprocess.run(words, check=True, capture_output=True, timeout=300)
        return json.loads((docs / "_static" / "benchmarks.json").read_text())["tasks"]

    task = run("--tasks", "arrays-mobilenet_v2", "--size", "2", "--both")["arrays-mobilenet_v2"]
    assert set(task["rows"]) == {"ours", "naive_32"}
    for row in task["rows"].values():
        assert row["features"] == "same"
        assert row["error"] < 1e-5
        assert {load: len(passes) for load, passes in row["seconds"].items()} == {
            "quiet": 2,  # the fewest, since there was no time for more
            "busy": 2,
        }
    for limits in task["machine"].values():
        assert set(limits) >= {"GEMM MKL", "memory", "JPEG"}
    assert 2 * 5e8 < task["flops"] < 2 * 8e8  # 300 million multiplications and additions an image
    page = (docs / "benchmarks.md").read_text()
    assert page.startswith("before\n<!-- results: start -->")
    assert page.endswith("<!-- results: end -->\nafter\n")
    assert "old" not in page
    assert "| MobileNetV2, 2 arrays |" in page
    assert "arrays-mobilenet_v2: 2 of 256 items" in (docs / "benchmarks_tables.md").read_text()
    assert (docs / "_static" / "benchmarks.png").read_bytes().startswith(b"\x89PNG")

    both = run("--tasks", "texts-minilm-300", "--texts", "3", "--busy", "--keep")
    assert both["arrays-mobilenet_v2"] == task
    assert set(both["texts-minilm-300"]["machine"]) == {"busy"}


def a_run(slower=1.0):
    """Return results of two tasks, as a run stores them."""

    def row(title, *seconds, **facts):
        loads = {load: [slower * s for s in seconds] for load in ("quiet", "busy")}
        facts = {"features": "same", "error": 1e-7, "versions": {"torch": "2"}} | facts
        return {"title": title, "seconds": loads} | facts

    task = {
        "kind": "arrays",
        "network": "resnet18",
        "count": 6,
        "of": 12,
        "flops": 1.2e10,
        "command": "run.py --both",
        "date": "2026-01-02",
        "machine": {load: {"GEMM MKL": 4e10 / slower} for load in ("quiet", "busy")},
        "rows": {
            "ours": row("**sklearn-pretrained**", 1.0, 1.0, 1.0),
            "openvino": row("OpenVINO", 0.9, 0.5, 0.7),
            "onnxruntime": row("ONNX Runtime", 2.0, 0.8, 4.0),
            "naive_32": row("PyTorch", 3.0, 3.0, 3.0, features="other features", error=0.5),
            "gone": {"title": "gone", "seconds": {}, "failed": "no such thing"},
        },
    }
    tasks = {"arrays-resnet18": task, "texts-minilm-300": task | {"kind": "texts"}}
    return {"machine": "A processor, Linux", "threads": 2, "tasks": tasks}


def test_ratios_come_with_the_range_of_their_rounds(peers):
    """And a peer that was faster in every one of them is named."""
    table = peers("report").summary(a_run())

    assert table.count("| ResNet-18, 6 arrays | 6.0 | 30% | 0.70 (0.50–0.90) |") == 2
    assert table.count("| 2.00 (0.80–4.00) | – | – | – |") == 4
    faster = "OpenVINO (ResNet-18, 6 arrays), OpenVINO (ResNet-18, 6 texts)."
    assert f"Peers that were faster than sklearn-pretrained in every round: {faster}" in table


def test_other_features_are_compared_with_nobody(peers):
    """Their rate is shown, their ratio is not, and what failed is named with its reason."""
    run = a_run()
    table = peers("report").task_table("a-task", run["tasks"]["arrays-resnet18"])

    assert "a-task: 6 of 12 items" in table
    assert "| ONNX Runtime | 3.0 | 2.00 (0.80–4.00) | 15% | 3.0 | 2.00 (" in table
    assert "| PyTorch | 2.0 | – | 10% | 2.0 | – | 10% | other features (5e-01) |" in table
    assert "Not timed: gone: no such thing" in table


def test_results_that_are_written_again_change_the_numbers_alone(peers, docs, tmp_path):
    """And nothing where they are the same; what stands around them stays."""
    report, pages = peers("report"), [docs / "benchmarks.md", docs / "benchmarks_tables.md"]

    def written(run):
        report.write(run, tmp_path)
        report.refresh(docs, tmp_path)
        return "".join(page.read_text() for page in pages)

    first, again, slower = written(a_run()), written(a_run()), written(a_run(slower=2.0))
    assert again == first
    assert slower != first
    assert re.sub(r"[\d.]+", "#", slower) == re.sub(r"[\d.]+", "#", first)
    assert first.count("before\n<!--") == first.count("-->\nafter\n") == 2


def test_the_command_on_the_page_has_no_folders_of_the_machine(peers):
    """Nor what was kept of an earlier run."""
    words = ["--both", "--output", "/tmp/here", "--write=docs", "--keep", "--size", "8"]

    assert peers("run").command(words) == "python benchmarks/peers/run.py --both --size 8"


@pytest.mark.parametrize(("seconds", "size"), [(1e9, 256), (120, 128), (60, 32), (0, 32)])
def test_a_task_has_as_many_items_as_fit(peers, seconds, size):
    """A half, a quarter and so on of its own number, but not fewer than its least."""
    sizes = peers("tasks").TASKS["arrays-resnet18"].sizes(None)

    assert peers("turns").fitting(sizes, seconds, 0.03, 5, ["quiet"]) == size
    assert peers("tasks").TASKS["arrays-resnet18"].sizes(2) == [2]


@pytest.mark.parametrize(("seconds", "rounds"), [(0, 2), (35, 3), (1e9, 5)])
def test_there_are_as_many_rounds_as_fit(peers, monkeypatch, seconds, rounds):
    """At least two; one that would end too late is not begun, by the longest so far."""
    turns, now = peers("turns"), [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: None)
    monkeypatch.setattr(turns, "time", clock)

    class Ten:
        def ask(self, order, most):
            now[0] += 10
            return {"seconds": 10, "rates": {"memory": 1.0}}

    rows = {"ours": {"seconds": {}}}
    chosen = SimpleNamespace(repeats=5, most_seconds=60)
    turns.take_turns({"ours": Ten()}, rows, "busy", seconds, chosen)

    assert rows["ours"]["seconds"] == {"busy": [10] * rounds}


@pytest.mark.parametrize(
    ("spoiled", "verdict"),
    [
        (lambda rows: rows * (1 + 1e-6), "same"),
        (lambda rows: rows[::-1], "other features"),
        (lambda rows: rows[:-1], "other features"),
        (lambda rows: np.where(rows == rows.max(), np.nan, rows), "other features"),
    ],
)
def test_rows_count_as_the_same_only_where_every_row_is(peers, spoiled, verdict):
    """Not in another order, not fewer, and not with a NaN."""
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)

    assert peers("references").judge(spoiled(rows), {"same": rows}, 1e-4)[0] == verdict


@pytest.mark.slow
def test_real_data_is_told_apart_as_well_as_by_a_plain_script():
    """Patches of textures and e-mails, three networks' real weights: the same accuracies."""
    script = PEERS.parent / "real_accuracy.py"
    command = [sys.executable, script, "--size", "8", "--layers", "features.6,features.17"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=550)

    lines = [line.rsplit(maxsplit=3) for line in done.stdout.splitlines()[1:]]
    same = [line for line in lines if not line[0].endswith("flips")]
    assert len(lines) == 7
    for _name, plain, ours, apart in same:
        assert plain == ours
        assert float(apart) < 5e-3
    assert all(float(ours) > 0.6 for _name, _plain, ours, _apart in lines)
    assert float(same[0][3]) < 1e-5
