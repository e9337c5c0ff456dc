"""Files of several networks that read files, pixels and strings, as other programs feed them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklearn_pretrained import PretrainedImageFeaturizer, export_onnx
from sklearn_pretrained.exceptions import ExportError
from sklearn_pretrained.export import _raw_proof
from sklearn_pretrained.exported import load

from .hostile import trial
from .test_export_inputs import plain_session

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")
COUNT = 18
ANSWERS = np.array(["good", "bad"])[np.arange(COUNT) % 2]


def png(image):
    """Write a file, which all decoders read alike."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def photos(size=64, **options):
    """Make a featurizer over images."""
    return PretrainedImageFeaturizer(
        "timm/test_efficientnet", weights=None, image_size=size, layer=0.5, cache=None, **options
    )


@pytest.fixture(scope="module")
def table(patches):
    """Images in files, texts of several lengths, and numbers."""
    texts = ["a cat", "It sat on the mat.", "Nothing works, and nobody answers!"]
    return pd.DataFrame(
        {
            "photo": [png(patches[i][: 90 + i]) for i in range(COUNT)],
            "age": np.linspace(20, 70, COUNT),
            "title": [texts[i % 3] * (1 + i % 4) for i in range(COUNT)],
        }
    )


@pytest.fixture(scope="module")
def mixed(table):
    """A pipeline over all of them."""
    columns = ColumnTransformer(
        [
            ("age", StandardScaler(), ["age"]),
            ("looks", make_pipeline(photos(), StandardScaler()), "photo"),
            ("words", trial.texts(on_error="raise"), "title"),
        ]
    )
    return make_pipeline(columns, LogisticRegression()).fit(table, ANSWERS)


@pytest.fixture(scope="module")
def whole(mixed, table, tmp_path_factory):
    """Its file that reads files and strings: where it is, and what it says."""
    path = tmp_path_factory.mktemp("several") / "whole.onnx"
    inputs = {"photo": "bytes", "words": "text"}
    return path, export_onnx(mixed, path, examples=table, inputs=inputs)


def steps(facts):
    """Name the steps that a report tells of, once each."""
    return list(dict.fromkeys(entry["step"] for entry in facts["report"]))


def test_files_strings_and_numbers_go_into_one_graph(mixed, whole, table):
    """By ONNX Runtime and its extensions alone, row by row."""
    path, facts = whole
    session = plain_session(path)
    names = [facts["outputs"][name]["tensor"] for name in ("predict", "predict_proba")]
    labels, expected = mixed.predict(table), mixed.predict_proba(table)

    for i, row in enumerate(table.itertuples()):
        fed = {
            "looks/pretrainedimagefeaturizer/bytes": np.frombuffer(row.photo, np.uint8),
            "words/text": np.array([row.title], object),
            "age/columns/float32-0": np.array([[row.age]], np.float32),
        }
        label, probabilities = session.run(names, fed)
        assert label[0] == labels[i]
        np.testing.assert_allclose(probabilities[0], expected[i], atol=1e-5)


def test_the_report_tells_of_each_input_and_of_all_together(whole):
    """How far the decoder, the tokens and both move the answers."""
    report = {entry["step"]: entry for entry in whole[1]["report"]}

    assert {
        "preparation of looks/pretrainedimagefeaturizer",
        "tokens of words",
        "decoder of looks/pretrainedimagefeaturizer",
        "strings of words",
        "inputs together",
    } <= set(report)
    assert report["inputs together"]["agreement"] == 1.0
    assert report["decoder of looks/pretrainedimagefeaturizer"]["largest"] == 0


def test_the_runtime_reads_the_same_table(mixed, whole, table):
    """With the pipeline's answers, whatever the graph decodes."""
    file = load(whole[0])

    np.testing.assert_allclose(file.predict_proba(table), mixed.predict_proba(table), atol=1e-5)
    assert file.predict(table).tolist() == mixed.predict(table).tolist()


def test_one_word_is_for_all_inputs_of_its_kind(mixed, table, tmp_path):
    """Those of another kind are prepared; texts share batches, whatever the sizes of images."""
    kinds = {}
    for inputs in ("pixels", "text"):
        path = tmp_path / f"{inputs}.onnx"
        facts = export_onnx(mixed, path, examples=table, inputs=inputs)
        kinds[inputs] = [part["form"]["kind"] for part in facts["input"]["parts"]]
        assert ("strings in batches" in steps(facts)) is (inputs == "text")
        np.testing.assert_allclose(
            load(path).predict_proba(table), mixed.predict_proba(table), atol=1e-5
        )
    assert kinds == {
        "pixels": ["table", "pixels", "texts"],
        "text": ["table", "pictures", "text"],
    }


def test_several_networks_read_the_pixels_of_one_image(patches, tmp_path):
    """Each resizes them as it was trained; those that do so alike share an input."""
    union = make_union(photos(), photos(48), photos(64, pooling="max"))
    pipeline = make_pipeline(union, LogisticRegression()).fit(patches[:COUNT], ANSWERS)
    path = tmp_path / "union.onnx"
    facts = export_onnx(pipeline, path, examples=patches[:COUNT], inputs="pixels")
    prefixes = [part["prefix"] for part in facts["input"]["parts"]]

    assert prefixes == ["pretrainedimagefeaturizer-1/", "pretrainedimagefeaturizer-2/"]
    session = plain_session(path)
    fed = {f"{prefix}pixels": np.stack(patches[:3]) for prefix in prefixes}
    (found,) = session.run([facts["outputs"]["predict_proba"]["tensor"]], fed)
    np.testing.assert_allclose(found, pipeline.predict_proba(patches[:3]), atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"nobody": "text"}, "inputs has the name 'nobody', and this pipeline's inputs are "),
        ({"words": "pixels"}, "'words': inputs='pixels' is for pipelines over images"),
        ({"photo": "text"}, "'looks/.*': inputs='text' is for a column of texts"),
        ({"age": "text"}, "'age/columns': inputs='text' is for a column of texts"),
        ({"photo": "jpeg"}, "inputs='jpeg' is not one of 'prepared', 'pixels'"),
        ({"photo": "pixels", "looks": "bytes"}, "twice, for 'pixels' and for 'bytes' as 'looks'"),
    ],
)
def test_names_and_forms_that_do_not_fit_are_named(inputs, says, mixed, table, tmp_path):
    """With the names that there are."""
    with pytest.raises(ValueError, match=says):
        export_onnx(mixed, tmp_path / "no.onnx", examples=table, inputs=inputs)


def test_strings_whose_batches_change_answers_are_not_written(mixed, table, tmp_path, monkeypatch):
    """The error says how many were together, and what moved."""
    monkeypatch.setattr(_raw_proof, "allowed", lambda name, tolerance: -1.0)
    with pytest.raises(ExportError, match=r"In batches of 3 strings, .* is up to .* away"):
        export_onnx(mixed, tmp_path / "no.onnx", examples=table, inputs="text")
    assert list(tmp_path.iterdir()) == []
