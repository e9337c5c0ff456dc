"""The page on exported files: each block runs alone behind the first, and does what it says.

python -m tests.test_export_page mlflow     # a block that needs what the test extra has not
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from PIL import Image

PAGE = (Path(__file__).parent.parent / "docs" / "export.md").read_text()
SECTIONS = {
    section.splitlines()[0]: re.findall(r"```(python|py)\n(.*?)```", section, flags=re.DOTALL)
    for section in re.split(r"\n##+ ", PAGE)
}
FIRST = SECTIONS.pop("Write the file")[0][1]
BLOCKS = {title: code for title, blocks in SECTIONS.items() for kind, code in blocks}
ABSENT = {
    "MLflow": "mlflow, a server with a hundred dependencies, isn't in the extra test",
}
# Those of one line; the longer one wants folders of labelled photos.
COMMANDS = re.findall(r"^python -m sklearn_pretrained [^\\\n]*$", PAGE, flags=re.MULTILINE)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Run the first block in a folder with photos, and keep what it defined."""
    folder = tmp_path_factory.mktemp("page")
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(FIRST, names)
        for place in ("inbox", "photos"):
            Path(place).mkdir()
            for i, image in enumerate(names["X"][5:11]):
                Image.fromarray(image).save(f"{place}/{i}.png")
                Image.fromarray(image).save(f"{place}/{i}.jpg", quality=95)
        joblib.dump(names["pipeline"], "pipeline.joblib")
        yield names


@pytest.fixture
def run(first):
    """Return what runs a section's block alone, and what it defined."""

    def running(title):
        names = dict(first)
        exec(BLOCKS[title], names)
        return names

    return running


def test_every_block_of_the_page_is_run_or_has_its_reason():
    """One for each section; those that are not run are marked so."""
    blocks = [(kind, title) for title, found in SECTIONS.items() for kind, _ in found]

    assert len(BLOCKS) == len(blocks) >= 11
    assert {title for kind, title in blocks if kind == "py"} == set(ABSENT)


@pytest.mark.parametrize("title", [title for title in BLOCKS if title not in ABSENT])
def test_a_block_runs_alone_behind_the_first(title, run, capsys):
    """And those that print say something."""
    run(title)

    assert bool(capsys.readouterr().out) == ("print(" in BLOCKS[title])


def test_an_edge_device_prints_the_label_of_each_image(run, first, capsys):
    """The pipeline's."""
    run("An edge device")
    paths = sorted(Path("inbox").glob("*.jpg"))
    expected = first["pipeline"].predict(paths)

    assert len(paths) == 6
    assert capsys.readouterr().out.splitlines() == [
        f"{path.name} {label}" for path, label in zip(paths, expected, strict=True)
    ]


def test_the_service_gives_the_pipelines_probabilities(run, first):
    """And a file that is no image gives an answer that says so."""
    from fastapi.testclient import TestClient

    path = Path("inbox/0.jpg")
    client = TestClient(run("A service")["app"])
    answer = client.post("/photo", files={"file": path.read_bytes()})
    refused = client.post("/photo", files={"file": b"no image"})

    assert answer.status_code == 200
    pipeline = first["pipeline"]
    expected = dict(zip(pipeline.classes_, pipeline.predict_proba([path])[0], strict=True))
    assert answer.json() == pytest.approx(expected, abs=1e-4)
    assert refused.status_code == 422
    assert "Item 0" in refused.json()["detail"]


def test_the_commands_of_the_page_export_and_predict(first):
    """One after the other, in a shell."""
    assert len(COMMANDS) == 3
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in COMMANDS:
        done = subprocess.run(
            command,
            check=False,
            shell=True,
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr

    lines = Path("labels.csv").read_text().splitlines()
    paths = sorted(Path("photos").iterdir())
    assert len(lines) == 1 + len(paths)
    labels = [line.split(",")[1] for line in lines[1:]]
    assert labels == first["pipeline"].predict(paths).tolist()


if __name__ == "__main__":
    told: dict = {}
    exec(FIRST, told)
    for word in sys.argv[1:]:
        (title,) = (one for one in BLOCKS if one.lower().startswith(word))
        exec(BLOCKS[title], dict(told))
        np.testing.assert_array_equal(told["pipeline"].predict(told["X"]), told["y"])
