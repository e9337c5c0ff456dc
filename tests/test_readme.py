"""What README and docs show is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"\d+\.\d+")
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


@pytest.mark.slow
def test_the_program_of_the_readme_prints_what_stands_below_it(tmp_path):
    """Its words as they are; its scores to a hundredth, since processors round differently."""
    program, printed = re.search(
        r"```python\n(.*?)```\n\n<!-- prints -->\n```text\n(.*?)```", README, flags=re.DOTALL
    ).groups()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert NUMBER.sub("", done.stdout) == NUMBER.sub("", printed)
    found, shown = (np.array(NUMBER.findall(text), float) for text in (done.stdout, printed))
    np.testing.assert_allclose(found, shown, atol=0.01, rtol=0.01)


def test_numbers_among_the_claims_stand_on_the_page_that_the_claim_names():
    """With the script that measured them and its date."""
    claims = README.partition("## What no other library")[2].partition("\n## ")[0]
    bullets = claims.split("\n- ")[1:]

    assert len(bullets) == 5
    for bullet in bullets:
        said, named = re.fullmatch(r"(.*)\((\[.*)\)\.\n*", bullet, flags=re.DOTALL).groups()
        link, script, date = re.fullmatch(
            r"\[.*\]\((.*)\),\s+`(.*)`,\s+(20\d\d-\d\d-\d\d)", named, flags=re.DOTALL
        ).groups()
        page = (ROOT / link.partition("#")[0]).read_text()
        assert (ROOT / script).is_file()
        assert Path(script).name in page
        assert date in page
        for number in re.findall(
            r"(?<![\w.])\d+e-\d+|(?<![\w.-])\d[\d.,]*\d(?![\w.])", re.sub("`[^`]*`", "", said)
        ):
            assert number in page, number


def test_the_gate_runs_the_commands_of_the_readme():
    """`.ci/run` takes both commands from the README, by the comments above them."""
    gate = (ROOT / ".ci" / "run").read_text()
    for name in ("main job", "test command"):
        assert re.search(rf"<!-- {name} -->\n```sh\n\S[^\n]*\n```\n", README)
        assert f"$(readme '{name}')" in gate


def test_the_gate_runs_the_slow_tests_too():
    """The command of the README leaves them out, and nothing else."""
    gate = (ROOT / ".ci" / "run").read_text()

    assert "python -m tests.long" in gate
    assert 'run("not slow", ' in (ROOT / "tests" / "__main__.py").read_text()
    assert 'run("slow", ' in (ROOT / "tests" / "long.py").read_text()
