"""What README and docs show is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import forked, pages

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ALONE = {"export.md"}  # whose blocks tests/test_export_page.py runs each by itself
WITH_CODE = [p for p in PAGES if "```python" in p.read_text() and p.name not in ALONE]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_each_block_of_a_page_runs_alone_and_prints_what_stands_below_it(page):
    """In a new process, in an empty folder; behind the first block where the page says so."""
    assert list(pages.faults(page)) == []


def test_a_page_whose_code_is_not_run_here_has_its_reason():
    """And no reason stands for a page that has no such code."""
    assert {page.name for page in PAGES if "```py\n" in page.read_text()} == set(pages.NOT_RUN)


@pytest.mark.parametrize(
    ("printed", "shown", "differ"),
    [
        ("score 0.951\n", "score  0.949\n", False),
        ("score 0.951\n", "score 0.90\n", True),
        ("score 0.951\n", "accuracy 0.951\n", True),
        ("(2, 1280)\n", "(2, 1281)\n", True),
    ],
)
def test_decimals_that_a_page_shows_hold_to_a_hundredth(printed, shown, differ):
    """Words and whole numbers hold as they are."""
    assert pages.differs(printed, shown) is differ


@pytest.mark.slow
def test_a_block_sees_nothing_of_another():
    """Though both are forks of one process: no names, no modules' state, no files, no threads."""
    program = """
import os, pathlib, pickle, sys, threading
import torch
class Own: pass
print(sorted(globals().keys() - {"__builtins__"}), os.listdir(), sys.argv, sys.path[0] == "")
print(type(pickle.loads(pickle.dumps(Own()))) is Own, threading.active_count())
print(getattr(torch, "seen", 0), os.environ.get("SEEN"), torch.initial_seed())
torch.seen, os.environ["SEEN"] = 1, "1"
torch.manual_seed(7)
pathlib.Path("seen").touch()
"""
    printed = forked.run(program)

    assert forked.run(program) == printed
    assert "[] ['-c'] True\nTrue 1\n0 None " in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "told"),
    [("print(1)\nnp.ones(3)", "NameError: name 'np'"), ("import os\nos._exit(3)", "status 3")],
)
def test_a_block_that_fails_is_told(program, told):
    """With its errors and its status; the next one runs."""
    with pytest.raises(RuntimeError, match=told):
        forked.run(program)
    assert forked.run("print(2)") == "2\n"


def test_a_library_that_cannot_be_imported_is_named(monkeypatch):
    """Once for each program, instead of a program that ends without a word."""
    monkeypatch.setattr(forked, "HEAVY", ("json", "no_such_library"))

    with pytest.raises(RuntimeError, match="No module named 'no_such_library'"):
        forked._forks.__wrapped__()


def test_numbers_among_the_claims_stand_on_the_page_that_the_claim_names():
    """With the script that measured them and its date."""
    claims = README.partition("## What sets it apart")[2].partition("\n## ")[0]
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
