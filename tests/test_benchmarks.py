"""The comparison with peers: what a run writes, and when features count as the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PEERS = Path(__file__).parent.parent / "benchmarks" / "peers"


@pytest.fixture
def references(monkeypatch):
    """Import the module that judges features, which is no part of the package."""
    monkeypatch.syspath_prepend(str(PEERS))
    import references

    yield references
    for name in ("references", "given"):
        sys.modules.pop(name, None)


@pytest.fixture
def report(monkeypatch):
    """Import the module that writes results."""
    monkeypatch.syspath_prepend(str(PEERS))
    import report

    yield report
    sys.modules.pop("report", None)


@pytest.mark.slow
def test_a_run_times_contenders_that_give_the_same_features(tmp_path):
    """With the table, the plot and the numbers behind them."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "benchmarks.md").write_text(
        "before\n<!-- results: start -->\nold\n<!-- results: end -->\nafter\n"
    )
    options = ["--tasks", "arrays-mobilenet_v2", "--peers", "ours,naive_32", "--size", "2"]
    options += ["--repeats", "2", "--threads", "1", "--cache", tmp_path / "cache"]
    command = [sys.executable, PEERS / "run.py", *options, "--write", docs]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=300)

    found = json.loads((tmp_path / "cache" / "results" / "peers.json").read_text())
    task = found["tasks"]["arrays-mobilenet_v2"]
    assert set(task["rows"]) == {"ours", "naive_32"}
    for row in task["rows"].values():
        assert row["features"] == "same"
        assert row["error"] < 1e-5
        assert len(row["seconds"]) == 2
    assert set(task["machine"]) >= {"GEMM MKL", "memory", "JPEG"}
    assert 2 * 5e8 < task["flops"] < 2 * 8e8  # 300 million multiplications and additions an image
    page = (docs / "benchmarks.md").read_text()
    assert page.startswith("before\n<!-- results: start -->")
    assert page.endswith("<!-- results: end -->\nafter\n")
    assert "old" not in page
    assert "| **sklearn-pretrained** |" in page
    assert (docs / "_static" / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("spoiled", "verdict"),
    [
        (lambda rows: rows * (1 + 1e-6), "same"),
        (lambda rows: rows[::-1], "other features"),
        (lambda rows: rows[:-1], "other features"),
        (lambda rows: np.where(rows == rows.max(), np.nan, rows), "other features"),
    ],
)
def test_rows_count_as_the_same_only_where_every_row_is(references, spoiled, verdict):
    """Not in another order, not fewer, and not with a NaN."""
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)

    assert references.judge(spoiled(rows), {"same": rows}, 1e-4)[0] == verdict


def test_other_features_are_compared_with_nobody(report):
    """Their rate is shown, their ratio is not, and what failed is named with its reason."""
    row = {"seconds": [2.0, 4.0], "features": "same", "error": 1e-7, "versions": {}}
    rows = {
        "ours": row | {"title": "ours", "seconds": [1.0, 1.0]},
        "slow": row | {"title": "slow"},
        "odd": row | {"title": "odd", "features": "other features", "error": 0.5},
        "gone": {"title": "gone", "seconds": [], "failed": "no such thing"},
    }
    table = report.task_table(
        "a-task", {"count": 6, "flops": 1.2e10, "machine": {"GEMM MKL": 4e10}, "rows": rows}
    )

    assert "| slow | 2.0 | 3.00 × | 10% | same (1e-07) |  |" in table
    assert "| odd | 2.0 | – | 10% | other features (5e-01) |  |" in table
    assert "Not timed: gone: no such thing" in table


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
