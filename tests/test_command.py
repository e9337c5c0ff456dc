"""The command line: pipelines become files, and files predict, without torch."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.exported import load


def run(*words, stdin=None, python=()):
    """Run the command line in a process of its own, without a window."""
    command = [sys.executable, *python, "-m", "sklearn_pretrained", *map(str, words)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=300,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
    )


@pytest.fixture(scope="module")
def photos(patches, tmp_path_factory):
    """A pipeline, its pickle, a folder of pictures, and the file that the command wrote."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "pictures").mkdir()
    for i, patch in enumerate(patches):
        Image.fromarray(patch).save(folder / "pictures" / f"{i:02}.png")
    names = ["palace" if i < 12 else "flower" for i in range(24)]
    featurizer = PretrainedImageFeaturizer(image_size=64, layer=1)
    pipeline = make_pipeline(featurizer, LogisticRegression()).fit(patches, names)
    joblib.dump(pipeline, folder / "pipeline.joblib")
    done = run(
        "export", folder / "pipeline.joblib", folder / "m.onnx", "--examples", folder / "pictures"
    )
    assert done.returncode == 0, done.stderr
    return pipeline, folder, done.stdout


def test_export_proves_a_pickle_on_a_folder_and_says_how_far_it_moved(photos):
    """And where the file lies."""
    said = photos[2]

    assert "preparation" in said
    assert "m.onnx gives the pipeline's answers on 24 examples." in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("layers", "resnet50", "--nope"), "Error: No such option: --nope. `python -m sklearn"),
        (("layer",), "Error: No such command 'layer'. Did you mean 'layers'? `python -m sklearn"),
        (("export", "pipeline.joblib"), "Error: Missing argument 'path'"),
        (("features", "photos/", "--kind", "sounds"), "Error: Invalid value for '--kind'"),
    ],
)
def test_words_that_are_not_understood_are_an_error_of_one_line(words, said):
    """It names the help that lists the right ones, and the exit status is 2."""
    done = run(*words)

    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.endswith("--help` shows what it takes.\n")
    assert done.stderr.count("\n") == 1


def test_a_command_without_words_shows_its_help():
    """Paragraphs are broken by the window, and not as they stand in the source."""
    done = run("layers")

    assert "Usage: python -m sklearn_pretrained layers" in done.stdout + done.stderr
    assert "Cost is the share of a whole forward pass" in " ".join(done.stdout.split())


def test_predict_prints_the_pipelines_labels_as_csv_without_torch(photos, patches):
    """In the order of the names; a pattern stands for its files."""
    pipeline, folder, _ = photos
    blocked = (
        "import sys\nfor name in ('torch', 'sklearn', 'transformers'): sys.modules[name] = None\n"
    )
    program = blocked + "import runpy; runpy.run_module('sklearn_pretrained', run_name='__main__')"
    words = ["predict", str(folder / "m.onnx"), str(folder / "pictures" / "*.png"), "--csv"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heads, *rows = csv.reader(io.StringIO(done.stdout))

    assert heads == ["item", "label", "p(flower)", "p(palace)"]
    assert [row[1] for row in rows] == pipeline.predict(patches).tolist()
    expected = pipeline.predict_proba(patches)
    np.testing.assert_allclose(np.array([row[2:] for row in rows], float), expected, atol=1e-3)


def test_predict_prints_a_table_and_names_what_it_cannot_read(photos, tmp_path):
    """An error is one line, and no traceback."""
    _, folder, _ = photos
    done = run("predict", folder / "m.onnx", folder / "pictures" / "03.png")
    (tmp_path / "no.jpg").write_text("no picture")
    bad = run("predict", folder / "m.onnx", tmp_path / "no.jpg")
    none = run("predict", folder / "m.onnx", tmp_path / "*.png")

    assert [line.split()[-2] for line in done.stdout.splitlines()] == ["label", "palace"]
    assert (bad.returncode, none.returncode) == (1, 1)
    assert bad.stderr.startswith("Error: Item 0 of X")
    assert "Traceback" not in bad.stderr
    assert "No images were found" in none.stderr


def test_texts_are_lines_of_files_or_of_the_standard_input(tmp_path, command):
    """One item each."""
    texts = ["good and fine", "bad and dull", "fine", "dull"]
    pipeline = make_pipeline(PretrainedTextFeaturizer(layer=1), LogisticRegression())
    joblib.dump(pipeline.fit(texts, [1, 0, 1, 0]), tmp_path / "p.joblib")
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    model = tmp_path / "m.onnx"
    words = ["export", tmp_path / "p.joblib", model, "--examples", tmp_path / "texts.txt"]
    code, _, errors = command(*words)
    assert code == 0, errors
    piped = run("predict", model, "-", "--csv", stdin="fine\nbad and dull\n")

    assert [row[:2] for row in csv.reader(io.StringIO(piped.stdout))][1:] == [
        ["fine", "1"],
        ["bad and dull", "0"],
    ]


def test_weights_targets_and_scores_are_options(photos, tmp_path, command):
    """The names of folders are targets; what is below the score is an error in one line."""
    _, folder, _ = photos
    by_name = tmp_path / "by_name"
    for path in sorted((folder / "pictures").iterdir()):
        name = "palace" if int(path.stem) < 12 else "flower"
        (by_name / name).mkdir(parents=True, exist_ok=True)
        (by_name / name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "y.txt").write_text("nothing\n" * 24)
    (tmp_path / "alike.txt").write_text("palace\n" * 24)
    words = ["export", folder / "pipeline.joblib", tmp_path / "small.onnx", "--examples", by_name]
    words += ["--weights", "int8", "--inputs", "pixels", "--y"]
    code, said, errors = command(*words, "folders", "--min-score", "0.8")
    unknown = command(*words, tmp_path / "y.txt", "--min-score", "0.9")
    low = command(*words, tmp_path / "alike.txt", "--min-score", "0.99")

    assert code == 0, errors
    assert "score predict: score 0.8" in said
    assert "the pipeline's 0.8" in said
    assert "weights predict: " in said
    facts = load(tmp_path / "small.onnx").facts_
    assert (facts["weights"], facts["input"]["kind"]) == ("int8", "pixels")
    assert (unknown[0], low[0]) == (1, 1)
    assert unknown[2].startswith("Error: Target 0 of --y is 'nothing', which is none of")
    assert low[2].startswith("Error: On the examples the accuracy of the file is ")


def test_files_that_cannot_be_opened_are_one_line(tmp_path):
    """Missing, or something else."""
    (tmp_path / "p.joblib").write_bytes(b"no file of ONNX")
    for name, says in (("none.onnx", "does not exist"), ("p.joblib", "is not an ONNX file")):
        done = run("predict", tmp_path / name, "-")

        assert done.returncode == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def without(missing, *words):
    """Run a command where packages are not installed; return what it says."""
    program = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({missing!r}))\n"
        "runpy.run_module('sklearn_pretrained', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_extra_is_named_where_the_library_of_commands_is_missing():
    """In one line that pip takes; where torch is missing, that does not bring it."""
    assert "pip install 'sklearn-pretrained[command]'" in without(["typer"])
    assert "pip install 'typer'" in without(["typer", "torch"])


@pytest.mark.parametrize("missing", ["joblib", "torch"])
def test_a_command_says_what_it_needs_where_only_files_are_run(missing, tmp_path):
    """And which command needs no more than is there."""
    (tmp_path / "p.joblib").touch()
    words = {"joblib": f"export {tmp_path}/p.joblib x.onnx --examples .", "torch": "networks"}
    said = without([missing], *words[missing].split())

    assert f"needs all of sklearn-pretrained, and its dependency {missing} is not" in said
    assert "Without them there is `predict`" in said
