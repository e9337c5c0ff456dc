"""Files that tokenise texts themselves, as programs without this package use them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tokenizers import Tokenizer

from sklearn_pretrained import PretrainedTextFeaturizer, export_onnx
from sklearn_pretrained.exceptions import ExportError
from sklearn_pretrained.export._tokens_proof import ODD, PLAIN
from sklearn_pretrained.exported import _reading, load

from .hostile import texts as odd
from .test_export_inputs import plain_session

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
TEXTS = ["A fine day.", "Nothing works!", "good", "too long, and dull", "again, again", "So ü pay"]
MOODS = ["good", "bad", "good", "bad", "good", "bad"]
LONG = "It was a long day in the town. " * 200


@pytest.fixture(scope="module")
def moods(tmp_path_factory):
    """A pipeline over texts, and its file that reads strings."""
    pipeline = make_pipeline(
        PretrainedTextFeaturizer(MINILM, layer=1, max_length=64, truncation="cut", cache=None),
        LogisticRegression(),
    ).fit(TEXTS, MOODS)
    path = tmp_path_factory.mktemp("text") / "moods.onnx"
    return pipeline, path, export_onnx(pipeline, path, examples=TEXTS, inputs="text")


def test_strings_get_the_pipelines_answers_from_onnxruntime_alone(moods):
    """Several at once, of any length, with accents, and cut where they are too long."""
    pipeline, path, facts = moods
    X = np.array([*TEXTS, *PLAIN, LONG, "café naïve Zürich", "[CLS] is text"], object)
    names = [facts["outputs"][name]["tensor"] for name in ("predict", "predict_proba")]
    labels, probabilities = plain_session(path).run(names, {"text": X})

    assert labels.tolist() == pipeline.predict(X).tolist()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), atol=1e-4)


def test_the_report_says_how_many_odd_texts_have_other_tokens(moods):
    """And gives one of them."""
    tokens, strings = (
        next(entry for entry in moods[2]["report"] if entry["step"] == step)
        for step in ("tokens", "strings")
    )

    assert tokens["operator"] == "BertTokenizer"
    assert tokens["odd_texts"] >= 40
    assert 0 < tokens["odd_texts_that_differ"] < tokens["odd_texts"] / 2
    assert tokens["for_example"] in ODD
    assert (strings["texts"], strings["agreement"]) == (6, 1.0)


def test_the_runtime_tokenises_as_the_library_does(moods):
    """So that odd texts and pairs get the pipeline's rows, whatever the graph makes of them."""
    pipeline, path, _ = moods
    X = [text for _, text in odd.all_made()[::5] if isinstance(text, str) and len(text) < 5000]
    X = [text for text in X if text.isprintable()]
    file = load(path, threads=1)

    assert len(X) > 40
    rows = pipeline[:-1].transform(X)
    far = np.linalg.norm(file.transform(X) - rows, axis=1) / np.linalg.norm(rows, axis=1)
    assert far.max() < 1e-4
    pair = [("A fine day.", "Nothing works!")]
    np.testing.assert_allclose(file.transform(pair), pipeline[:-1].transform(pair), atol=1e-4)


def test_a_tokenizer_that_no_operator_knows_is_refused(tmp_path):
    """With the operator that came nearest, or the kinds that there are."""
    from .text_zoo import make_folder

    torch.manual_seed(0)
    folder = make_folder(tmp_path / "network", "BERT")
    path = folder / "tokenizer.json"
    told = json.loads(path.read_text())
    vocabulary = list(told["model"]["vocab"])
    told["model"] = {
        "type": "WordLevel",
        "vocab": {word: i for i, word in enumerate(vocabulary)},
        "unk_token": "[UNK]",
    }
    path.write_text(json.dumps(told))
    Tokenizer.from_file(str(path))
    featurizer = PretrainedTextFeaturizer(str(folder), pooling="mean", cache=None).fit(TEXTS)

    with pytest.raises(ExportError, match=r"knows WordPiece, BPE and Unigram"):
        export_onnx(featurizer, tmp_path / "x.onnx", examples=TEXTS, inputs="text")


def test_what_is_cut_in_the_graph_must_be_cut_by_the_pipeline(tmp_path):
    """A pipeline that refuses long texts has no such file, nor has one over images."""
    encoder = PretrainedTextFeaturizer(MINILM, layer=1, truncation="error", cache=None).fit(TEXTS)

    with pytest.raises(ValueError, match="which cuts those that are too long"):
        export_onnx(encoder, tmp_path / "x.onnx", examples=TEXTS, inputs="text")


def test_tokens_of_the_reader_are_compared_with_the_librarys(moods, tmp_path, monkeypatch):
    """Also where the graph reads strings: a file that reads one text otherwise is not written."""
    told = _reading.Tokens.samples

    def samples(self, X):
        found = told(self, X)
        return [*found[:-1], {name: ids[:-1] for name, ids in found[-1].items()}]

    monkeypatch.setattr(_reading.Strings, "samples", samples)
    with pytest.raises(ExportError, match="the file prepares example 5 differently"):
        export_onnx(moods[0], tmp_path / "x.onnx", examples=TEXTS, inputs="text")


def test_pairs_alone_cannot_prove_a_graph_that_reads_strings(tmp_path):
    """The error says what to use instead."""
    pairs = [("A fine day.", "Nothing works!"), ("It sat.", "A cat.")]
    encoder = PretrainedTextFeaturizer(MINILM, layer=1, cache=None).fit(pairs)

    with pytest.raises(ExportError, match=r"pairs of texts only.*inputs='prepared'"):
        export_onnx(encoder, tmp_path / "x.onnx", examples=pairs, inputs="text")
