"""What README and docs show is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALONE = {"export.md"}  # whose blocks tests/test_export_page.py runs each by itself
WITH_CODE = [p for p in PAGES if "```python" in p.read_text() and p.name not in ALONE]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_one_after_the_other(page, tmp_path):
    """In a new process, in an empty folder."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks))
    subprocess.run([sys.executable, program], cwd=tmp_path, check=True, timeout=600)


def test_the_gate_runs_the_commands_of_the_readme():
    """`.ci/run` takes both commands from the README, by the comments above them."""
    readme, gate = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for name in ("main job", "test command"):
        assert re.search(rf"<!-- {name} -->\n```sh\n\S[^\n]*\n```\n", readme)
        assert f"$(readme '{name}')" in gate


def test_the_gate_runs_the_slow_tests_too():
    """The command of the README leaves them out, and nothing else."""
    gate = (ROOT / ".ci" / "run").read_text()

    assert "python -m tests.long" in gate
    assert 'run("not slow", ' in (ROOT / "tests" / "__main__.py").read_text()
    assert 'run("slow", ' in (ROOT / "tests" / "long.py").read_text()
