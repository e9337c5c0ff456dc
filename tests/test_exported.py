"""The runtime of exported files: what it reads and refuses is what the library does."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from sklearn_pretrained import PretrainedImageFeaturizer, export_onnx
from sklearn_pretrained.exported import ExportedPipeline, load

from .hostile import images, texts, trial
from .hostile.exported import (
    differing,
    differing_in_the_graph,
    image_files,
    outcome,
    text_files,
)


@pytest.fixture(scope="module")
def both_of_images(patches, tmp_path_factory):
    """A featurizer over images, and its file."""
    featurizer = PretrainedImageFeaturizer(image_size=64, layer=1, cache=None).fit(patches)
    path = tmp_path_factory.mktemp("exported") / "images.onnx"
    export_onnx(featurizer, path, examples=patches[:3])
    return featurizer, load(path, threads=1)


@pytest.fixture(scope="module")
def both_of_texts(tmp_path_factory):
    """The same over texts."""
    featurizer = trial.texts(on_error="raise").fit(["a text"])
    path = tmp_path_factory.mktemp("exported") / "texts.onnx"
    export_onnx(featurizer, path, examples=["a text", "another"])
    return featurizer, load(path, threads=1)


def test_odd_images_are_the_same_row_or_the_same_error(both_of_images, tmp_path):
    """Every mode, depth, turn and damage, bombs, and what only looks like an image."""
    cases = images.all_made(tmp_path, tmp_path / "trap")[::2]
    found = differing(both_of_images, cases)

    assert found.wrong == []
    assert found.rows + found.errors >= 200
    assert min(found.rows, found.errors) > 80


def test_odd_texts_are_the_same_row_or_the_same_error(both_of_texts):
    """The naughty strings, all of Unicode, halves of characters, pairs, and what is no text."""
    cases = [*texts.all_made()[::3], *texts.no_texts(), *islice(texts.halves(), 10)]
    found = differing(both_of_texts, cases)

    assert found.wrong == []
    assert found.rows + found.errors >= 200
    assert min(found.rows, found.errors * 10) > 100


def test_odd_images_are_the_same_for_files_that_prepare_them(tmp_path):
    """By `load` from pixels and from files; in the graph a PNG is its row, and no error a row."""
    photos = [np.asarray(images.photo(k, (80, 70))) for k in range(3)]
    featurizer, paths = image_files(tmp_path, photos, "pixels", "bytes")
    cases = images.all_made(tmp_path, tmp_path / "trap")[::17]
    for path in paths.values():
        assert differing((featurizer, load(path, threads=1)), cases).wrong == []
    made = images.all_made(tmp_path, tmp_path / "trap")
    pngs = [case for case in made if isinstance(case[1], bytes) and case[1][1:4] == b"PNG"]
    found = differing_in_the_graph(featurizer, paths["bytes"], "bytes", pngs[::4])

    assert (found.wrong, found.crashes, found.hangs) == ([], [], [])
    assert found.rows > 3


def test_odd_texts_are_a_row_of_the_graph_or_an_error(tmp_path):
    """Where the library has an error, the graph has none but one too."""
    featurizer, paths = text_files(tmp_path, "text")
    cases = [*texts.all_made()[::17], *islice(texts.halves(), 10)]
    found = differing_in_the_graph(featurizer, paths["text"], "text", cases)

    assert (found.wrong, found.crashes, found.hangs) == ([], [], [])
    assert found.rows > 10
    assert found.errors > 5


def test_a_file_has_the_methods_that_it_gives(both_of_images):
    """So that hasattr tells, as in scikit-learn; their help says what they return."""
    _, file = both_of_images

    assert [hasattr(file, name) for name in ("transform", "predict")] == [True, False]
    assert file.transform.__name__ == "transform"
    assert "in the order of ``classes_``" in ExportedPipeline.predict_proba.__doc__.lower()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_graph_prepares_pictures_to_the_bit(interpolation):
    """Large, small, long and tiny ones, cropped, and padded with black."""
    import onnx
    import onnxruntime

    from sklearn_pretrained.export._resizing import resizing_graph
    from sklearn_pretrained.exported._resize import prepare

    opset = onnx.helper.make_opsetid("", 18)
    like = onnx.helper.make_model(
        onnx.helper.make_graph([], "like", [], []), ir_version=10, opset_imports=[opset]
    )
    for resize, crop in ((64, 56), (50, 56)):
        geometry = {"resize": resize, "crop": crop, "interpolation": interpolation}
        graph = resizing_graph(geometry, like).SerializeToString()
        session = onnxruntime.InferenceSession(graph)
        for shape in ((427, 640), (90, 100), (31, 500), (2, 3), (1, 1), (600, 255), (64, 64)):
            picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
            (found,) = session.run(None, {"pixels": picture[None]})

            np.testing.assert_array_equal(found[0], prepare(picture, geometry))


def test_a_file_that_reads_pixels_gives_the_same_rows(both_of_images, pictures, patches, tmp_path):
    """Of pictures of several sizes in one X; what cannot be read is the same error."""
    featurizer, file = both_of_images
    path = tmp_path / "pixels.onnx"
    facts = export_onnx(featurizer, path, examples=[*patches[:2], *pictures], inputs="pixels")
    whole = load(path, threads=1)
    X = [pictures[0], patches[0], pictures[1][:50], patches[1], pictures[0][..., 0]]

    assert facts["report"][0] == {"step": "preparation", "largest": 0.0, "allowed": 0}
    np.testing.assert_allclose(whole.transform(X), file.transform(X), rtol=1e-5, atol=1e-5)
    for bad in (b"no picture", np.zeros((1, 20_000, 3), np.uint8), None):
        assert outcome(whole.transform, bad) == outcome(file.transform, bad)
    with pytest.raises(ValueError, match="inputs='bites' is not one of 'prepared', 'pixels'"):
        export_onnx(featurizer, path, examples=patches[:1], inputs="bites")


def test_texts_have_no_pixels(tmp_path):
    """And the error says what does."""
    featurizer = trial.texts(on_error="raise").fit(["a text"])
    with pytest.raises(ValueError, match="inputs='pixels' is for pipelines over images"):
        export_onnx(featurizer, tmp_path / "t.onnx", examples=["a text"], inputs="pixels")


@pytest.mark.parametrize("inputs", ["prepared", "pixels"])
def test_the_centre_is_cut_out_where_transformers_cuts_it(inputs, tmp_path):
    """Whose processors round its place down, where torchvision rounds to even numbers."""
    from tests import vision_zoo

    images = [vision_zoo.images()[3][:side, :36] for side in (36, 37, 39, 41, 43)]
    folder = vision_zoo.make_folder(tmp_path / "network", "CLIP image tower")
    featurizer = PretrainedImageFeaturizer(str(folder), cache=None).fit(images)
    export_onnx(featurizer, tmp_path / "clip.onnx", examples=images[:1], inputs=inputs)
    file = load(tmp_path / "clip.onnx")

    for turned in (images, [image.transpose(1, 0, 2) for image in images]):
        np.testing.assert_allclose(
            file.transform(turned), featurizer.transform(turned), rtol=1e-3, atol=1e-4
        )


def test_a_processor_that_squeezes_images_is_not_replayed_by_the_shorter_side(tmp_path):
    """Its file takes prepared images, also where all examples are square and nothing shows."""
    from tests import vision_zoo

    squares = [image[:32, :32] for image in vision_zoo.images()[:2]]
    for family in ("ViT", "DINOv3", "MobileViT"):
        folder = vision_zoo.make_folder(tmp_path / family, family)
        featurizer = PretrainedImageFeaturizer(str(folder), cache=None).fit(squares)
        facts = export_onnx(featurizer, tmp_path / f"{family}.onnx", examples=squares)

        assert facts["input"]["kind"] == "arrays"
        assert max(entry["largest"] for entry in facts["report"]) < 1e-4
