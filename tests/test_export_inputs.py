"""Files that decode images themselves, as programs without this package use them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_pretrained import PretrainedImageFeaturizer, export_onnx
from sklearn_pretrained.exceptions import ExportError, MissingExtraError
from sklearn_pretrained.exported import load

from .hostile import images

pytestmark = pytest.mark.filterwarnings("ignore:weights=None")


def encoded(image, kind="PNG", **options):
    """Write a file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def plain_session(path):
    """Open a file with ONNX Runtime and its extensions, as any program would."""
    import onnxruntime
    import onnxruntime_extensions as extensions

    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(extensions.get_library_path())
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options)


def decoded(session, data):
    """Send the bytes of a file through the graph; return its prepared pixels."""
    (found,) = session.run(["prepared"], {"bytes": np.frombuffer(data, np.uint8)})
    return found[0]


@pytest.fixture(scope="module")
def photos(patches, tmp_path_factory):
    """A pipeline, and its file that reads the bytes of files."""
    names = ["palace"] * (len(patches) // 2) + ["flower"] * (len(patches) - len(patches) // 2)
    pipeline = make_pipeline(
        PretrainedImageFeaturizer(
            "timm/test_efficientnet", weights=None, image_size=64, layer=0.5, cache=None
        ),
        LogisticRegression(max_iter=1000),
    ).fit(patches, names)
    path = tmp_path_factory.mktemp("bytes") / "photos.onnx"
    examples = [*patches[:2], encoded(patches[-1]), encoded(patches[-2], "JPEG", quality=95)]
    return pipeline, path, export_onnx(pipeline, path, examples=examples, inputs="bytes")


@pytest.fixture(scope="module")
def prepare(photos):
    """What prepares an item as the library does."""
    from sklearn_pretrained.exported._resize import prepare
    from sklearn_pretrained.inputs import read_images

    geometry = photos[2]["input"]["geometry"]
    return lambda item: prepare(read_images([item]).load(0), geometry)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(10))
def test_files_are_decoded_upright_in_the_graph(photos, prepare, pictures, kind, orientation):
    """A PNG to the bit; of a JPEG the pixels that have colours of their own differ."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(pictures[0][:180], kind, exif=exif)
    expected = prepare(data)
    found = decoded(plain_session(photos[1]), data)

    if kind == "PNG":
        np.testing.assert_array_equal(found, expected)
    else:
        assert np.abs(found.astype(int) - expected).mean() < 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_may_be_a_long_number(photos, prepare, pictures, order):
    """Of either order of bytes."""
    mark = {"<": b"II", ">": b"MM"}[order]
    exif = mark + struct.pack(order + "HIHHHII", 42, 8, 1, 0x0112, 4, 1, 6) + bytes(4)
    data = encoded(pictures[0][:180], "JPEG", exif=b"Exif\0\0" + exif)
    expected = prepare(data)

    assert np.abs(expected.astype(int) - prepare(encoded(pictures[0][:180]))).mean() > 1
    assert np.abs(decoded(plain_session(photos[1]), data).astype(int) - expected).mean() < 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "I;16", "RGB"])
def test_png_files_of_every_opaque_kind_are_the_same_pixels(photos, prepare, mode):
    """Grey, black and white, palettes, 16 bits."""
    data = images.save(images.in_mode(mode, size=(90, 70)), "PNG")

    np.testing.assert_array_equal(decoded(plain_session(photos[1]), data), prepare(data))


def test_grey_jpeg_files_are_the_same_pixels(photos, prepare):
    """Which have no colours that decoders could lay out differently."""
    data = images.save(images.in_mode("L", size=(90, 70)), "JPEG")
    far = np.abs(decoded(plain_session(photos[1]), data).astype(int) - prepare(data))

    assert far.max() <= 1


REFUSED = {
    "transparency": images.save(images.in_mode("RGBA"), "PNG"),
    "interlaced": images.interlaced(np.asarray(images.photo(0))),
    "CMYK": images.save(images.in_mode("CMYK"), "JPEG"),
    "no JPEG or PNG": images.save(images.in_mode("RGB"), "WEBP"),
    "is cut": images.save(images.in_mode("RGB"), "JPEG")[:-200],
}


def with_chunks(png, before, after):
    """Put chunks into a PNG file, before and behind its pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    begin, end = png.index(b"IDAT") - 4, png.index(b"IEND") - 4
    early, late = (b"".join(chunk(*one) for one in some) for some in (before, after))
    return png[:begin] + early + png[begin:end] + late + png[end:]


EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF_DATA = EXIF.tobytes()[6:]
PHOTO = encoded(np.asarray(images.photo(0)))
NOTE = (b"tEXt", b"Comment\0" + b"a" * (1 << 17))
REFUSED |= {
    "EXIF or transparency behind its first 128 KB": with_chunks(
        PHOTO, [NOTE, (b"eXIf", EXIF_DATA)], []
    ),
    "EXIF or transparency": with_chunks(PHOTO, [NOTE, (b"tRNS", bytes(6))], []),
    "XMP alone": encoded(np.asarray(images.photo(0)), "JPEG", xmp=b'<x tiff:Orientation="6"></x>'),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_the_decoder_would_read_otherwise_is_an_error_that_says_so(photos, why):
    """Rather than a silent wrong answer."""
    with pytest.raises(Exception, match=why):
        decoded(plain_session(photos[1]), REFUSED[why])


def test_the_runtime_reads_the_same_x_with_the_same_answers(photos, patches, pictures, tmp_path):
    """Arrays, JPEG, WebP, with transparency: it decodes by Pillow whatever the graph does."""
    pipeline, path, _ = photos
    X = [patches[0], pictures[1], encoded(pictures[0], "JPEG"), encoded(pictures[0], "WEBP")]
    X.append(images.save(images.in_mode("RGBA", size=(80, 80)), "PNG"))
    file = load(path, threads=1)

    np.testing.assert_allclose(file.predict_proba(X), pipeline.predict_proba(X), atol=1e-3)
    assert file.predict(X).tolist() == pipeline.predict(X).tolist()


def test_the_report_tells_how_far_the_decoder_is_from_pillow(photos):
    """In grey levels, and in the answers that it changes."""
    told = photos[2]["report"][-1]

    assert told["step"] == "decoder"
    assert told["output"] == "predict"
    assert (told["files"], told["refused"]) == (4, 0)
    assert 0 < told["largest"] < 100
    assert told["agreement"] >= 0.99


def test_a_file_whose_answers_a_decoder_changes_is_not_written(photos, tmp_path):
    """Where examples are files that it refuses, or that agree less than was asked for."""
    featurizer = photos[0][0]
    cut = {"examples": [images.in_mode("RGB", size=(64, 64))], "inputs": "bytes"}
    with pytest.raises(ExportError, match=r"agree to [\d.]+%, and min_agreement=1 is asked for"):
        export_onnx(featurizer, tmp_path / "x.onnx", **cut, min_agreement=1)

    assert list(tmp_path.iterdir()) == []


def test_what_decodes_is_named_where_it_is_missing(photos, tmp_path, monkeypatch):
    """By the command that installs it, when a file is written and when it is opened."""
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)
    with pytest.raises(MissingExtraError, match=r"sklearn-pretrained\[onnx-extensions\]"):
        export_onnx(
            photos[0], tmp_path / "x.onnx", examples=[np.zeros((9, 9, 3), "u1")], inputs="bytes"
        )
    with pytest.raises(MissingExtraError, match="pip install 'onnxruntime-extensions'"):
        load(photos[1])
