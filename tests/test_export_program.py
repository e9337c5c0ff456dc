"""Programs of torch.export: prepared items in, the featurizer's rows out, in any process."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
    export_onnx,
    export_program,
)
from sklearn_pretrained.exceptions import ExportError

from .conftest import relative_error
from .text_zoo import TEXTS, make_folder

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")

ELSEWHERE = """
import json, sys
import numpy as np, torch
told = {"sklearn_pretrained.json": "", "tokenizer.json": ""}
program = torch.export.load(sys.argv[1], extra_files=told).module()
given = {name: torch.from_numpy(array) for name, array in np.load(sys.argv[2]).items()}
rows = [program(**given), program(**{name: tensor[:1] for name, tensor in given.items()})]
print(json.dumps([torch.cat(rows).tolist(), sorted(name for name in told if told[name])]))
assert "sklearn_pretrained" not in sys.modules
"""


def elsewhere(path, given):
    """Run a file in a process that knows torch alone; return rows, and what else is in it."""
    np.savez(path.with_suffix(".npz"), **given)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, path, path.with_suffix(".npz")],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    rows, held = json.loads(done.stdout)
    return np.array(rows), held


def test_another_process_computes_the_featurizers_rows_of_pictures(patches, tmp_path):
    """Of one picture and of several, from resized pixels; no example is in the file."""
    featurizer = PretrainedImageFeaturizer("timm/test_efficientnet", weights=None, layer=1)
    featurizer.set_params(image_size=64, cache=None).fit(patches)
    facts = export_program(featurizer, tmp_path / "photos.pt2", examples=patches[:3])
    prepared = featurizer.road().backbone.prepare([patches[0], patches[5]])
    pixels = np.stack([sample.numpy() for sample in prepared])
    rows, held = elsewhere(tmp_path / "photos.pt2", {"images": pixels})

    expected = featurizer.transform([patches[0], patches[5], patches[0]])
    assert relative_error(rows, expected) < 1e-5
    assert held == ["sklearn_pretrained.json"]
    assert facts["provenance"]["weights"]["sha256"] == featurizer.weights_digest_
    assert facts["feature_names"] == [*featurizer.get_feature_names_out()]
    assert facts["report"][0]["largest"] < 1e-5
    written = (tmp_path / "photos.pt2").read_bytes()
    assert featurizer.road().backbone.prepare([patches[0]])[0].numpy().tobytes() not in written
    held = torch.export.load(tmp_path / "photos.pt2").state_dict
    assert not [name for name in held if "blocks.2" in name]  # what lies behind the layer


def test_another_process_computes_the_featurizers_rows_of_texts(tmp_path):
    """Padded beside longer ones, and alone; the tokenizer is in the file."""
    folder = make_folder(tmp_path / "bert", "BERT")
    encoder = PretrainedTextFeaturizer(str(folder), pooling="mean", cache=None).fit(TEXTS)
    export_program(encoder, tmp_path / "texts.pt2", examples=TEXTS)
    backbone = encoder.road().backbone
    batch = backbone.collate(backbone.prepare(TEXTS[:3]), torch.device("cpu"), torch.float32)
    rows, held = elsewhere(tmp_path / "texts.pt2", {k: v.numpy() for k, v in batch.items()})

    assert relative_error(rows, encoder.transform([*TEXTS[:3], TEXTS[0]])) < 1e-5
    assert held == ["sklearn_pretrained.json", "tokenizer.json"]


def rows_and_featurizer():
    """Make rows, and a featurizer over them."""
    torch.manual_seed(0)
    X = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    return X, ModuleFeaturizer(torch.nn.Linear(8, 4), layer="output")


def test_of_a_pipeline_the_network_is_written(tmp_path):
    """For one number of items, where that is asked for."""
    X, featurizer = rows_and_featurizer()
    pipeline = make_pipeline(featurizer, LogisticRegression()).fit(X, X[:, 0] > 0)
    facts = export_program(pipeline, tmp_path / "rows.pt2", examples=X[:7], batch_size=2)
    program = torch.export.load(tmp_path / "rows.pt2").module()

    assert facts["steps"] == ["ModuleFeaturizer"]
    got = program(rows=torch.from_numpy(X[:2])).detach().numpy()
    assert relative_error(got, pipeline[:-1].transform(X[:2])) < 1e-5
    with pytest.raises(AssertionError, match="2"):
        program(rows=torch.from_numpy(X[:3]))


def test_a_program_that_moves_rows_is_not_written(tmp_path):
    """And the error says how far."""
    X, featurizer = rows_and_featurizer()
    featurizer.fit(X)
    featurizer.transform = lambda X: ModuleFeaturizer.transform(featurizer, X) * 1.01

    with pytest.raises(ExportError, match=r"Step 'network' differs: .* Nothing was written"):
        export_program(featurizer, tmp_path / "moved.pt2", examples=X)
    assert list(tmp_path.iterdir()) == []


class Wavering(torch.nn.Linear):
    """A network whose way depends on its numbers."""

    def forward(self, x):
        """Take one of two ways."""
        return super().forward(x) if bool(x.sum() > -1e9) else x[:, :4]


@pytest.mark.parametrize("export", [export_onnx, export_program])
def test_a_network_that_cannot_be_traced_is_refused_in_words(export, tmp_path, capfd):
    """One sentence, with its name; the graph that torch prints is kept off the screen."""
    X, _ = rows_and_featurizer()
    featurizer = ModuleFeaturizer(Wavering(8, 4), layer="output").fit(X)

    with pytest.raises(TypeError, match=r"Wavering.* cannot be traced by torch.export: .* Use an"):
        export(featurizer, tmp_path / "refused", examples=X)
    assert list(tmp_path.iterdir()) == []
    assert "def forward" not in capfd.readouterr().err
