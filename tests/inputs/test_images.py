"""Images in any form: the same pixels are the same row, and doubt is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image, ImageFile
from scipy import sparse

from sklearn_pretrained.exceptions import BadItemError
from sklearn_pretrained.inputs import _held, read_images
from tests.hostile import trial
from tests.hostile.images import in_mode, save
from tests.hostile.images import png as png_by_hand
from tests.inputs.corpus import encode, photo

PIXELS = np.asarray(photo())
GREY = PIXELS[..., 0]


def load(item, **options):
    return read_images([item], **options).load(0)


@pytest.fixture
def png(tmp_path: Path) -> Path:
    """Write the picture as a file without loss."""
    path = tmp_path / "picture.png"
    photo().save(path)
    return path


def test_the_same_pixels_are_the_same_image_however_they_come(png):
    """Path, text, bytes, PIL image, array, tensor and list, in either order of axes."""
    forms = [
        png,
        str(png),
        np.str_(png),
        png.read_bytes(),
        bytearray(png.read_bytes()),
        memoryview(png.read_bytes()),
        photo(),
        Image.open(png),
        PIXELS,
        PIXELS.transpose(2, 0, 1),
        torch.from_numpy(PIXELS.copy()),
        torch.from_numpy(PIXELS.copy()).permute(2, 0, 1),
        PIXELS / 255,
        (PIXELS / 255).astype(np.float32),
        torch.from_numpy(PIXELS / 255),
        PIXELS.astype(np.uint16) * 257,
        np.repeat(PIXELS, 2, axis=1)[:, ::2],
    ]
    for form in forms:
        np.testing.assert_array_equal(load(form), PIXELS)
    items = read_images(forms)
    assert len(items) == len(forms)
    assert items.digest(0) == items.digest(1) == items.digest(3) == items.digest(4)


@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        lambda x: np.array(x, dtype=object),
        lambda x: np.array(x, dtype=str),
        lambda x: np.array(x, dtype=object).reshape(-1, 1),
        lambda x: pd.Series(x, index=range(7, 7 + len(x))),
        lambda x: pd.DataFrame({"path": x}),
        pl.Series,
        lambda x: pl.DataFrame({"path": x}),
    ],
)
def test_paths_come_in_any_container(png, container):
    """Lists, arrays, Series and one-column frames of pandas and polars."""
    items = read_images(container([str(png)] * 3))

    assert len(items) == 3
    np.testing.assert_array_equal(items.load(2), PIXELS)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (np.stack([PIXELS, PIXELS]), PIXELS),
        (np.stack([PIXELS, PIXELS]).transpose(0, 3, 1, 2), PIXELS),
        (torch.from_numpy(np.stack([PIXELS, PIXELS])), PIXELS),
        (np.stack([GREY, GREY]), np.stack([GREY] * 3, -1)),
        (np.stack([GREY, GREY])[..., None], np.stack([GREY] * 3, -1)),
    ],
)
def test_a_batch_in_one_array_has_its_items_on_the_first_axis(batch, expected):
    """Grey or coloured, channels first or last."""
    items = read_images(batch)

    assert len(items) == 2
    np.testing.assert_array_equal(items.load(1), expected)


@pytest.mark.parametrize(
    "table",
    [
        np.eye(4, dtype=np.int32),
        np.eye(4, dtype=np.int64),
        np.eye(4, dtype=np.int8),
        np.eye(4, dtype=object),
        pd.DataFrame(np.eye(4, dtype=np.int32)),
        pd.DataFrame(np.eye(4, dtype=np.int64)).astype("Int64"),
        pd.DataFrame(np.eye(4)).astype({0: "int64"}),
        pl.DataFrame(np.eye(4, dtype=np.int32)),
        [[1, 0, 0, 1]] * 2,
    ],
    ids=lambda table: type(table).__module__,
)
def test_a_table_of_whole_numbers_needs_its_range(table):
    """Zeros and ones may be black and white, or nearly black both."""
    told = "range is not known.*value_range"
    featurizer = trial.images(image_shape=(2, 2), on_error="raise")
    with pytest.raises(ValueError, match=told):
        featurizer.fit_transform(table)
    said = trial.images(image_shape=(2, 2), value_range=(0, 1), on_error="raise")

    assert np.isfinite(said.fit_transform(table)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_, np.float32, np.float16])
def test_a_table_keeps_the_range_that_its_type_says(dtype):
    """A flattened image is read as the same image in its shape."""
    white = np.ones((4, 4), dtype)
    featurizer = trial.images(image_shape=(2, 2), on_error="raise")
    expected = trial.images(on_error="raise").fit_transform(list(white.reshape(4, 2, 2)))

    np.testing.assert_array_equal(featurizer.fit_transform(white), expected)
    np.testing.assert_array_equal(featurizer.fit_transform(pd.DataFrame(white)), expected)


def test_flattened_rows_become_images_again():
    """A table with image_shape, as of load_digits, in the range that value_range says."""
    table = np.array([[0, 8, 16, 4], [16, 16, 0, 0]], dtype=float)
    items = read_images(table, image_shape=(2, 2), value_range=(0, 16))

    np.testing.assert_array_equal(items.load(0)[..., 0], [[0, 128], [255, 64]])


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        ("cat.jpg", {}, r"single str object received.*\[X\]"),
        (b"123", {}, r"single bytes object received"),
        (Path("cat.jpg"), {}, r"\[X\]"),
        (photo(), {}, r"single PIL image received.*\[X\]"),
        (PIXELS, {}, r"looks like one image"),
        (np.zeros((5, 64)), {}, "image_shape=\\(8, 8\\)"),
        (
            np.zeros((5, 64)),
            {"image_shape": (8, 9)},
            "requires 72 values, but the rows of X have 64",
        ),
        (np.zeros((5, 64)), {"image_shape": (64,)}, "image_shape must be"),
        (np.zeros((2, 3, 4, 5, 6)), {}, r"\(N, H, W, C\)"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), {}, "ColumnTransformer"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), {}, "ColumnTransformer"),
        (np.array([["a", "b"]], dtype=object), {}, "ColumnTransformer"),
        ([], {}, "0 sample"),
        ([PIXELS], {"value_range": (1, 0)}, "low < high"),
        ([PIXELS], {"value_range": (0,)}, r"must be \(low, high\)"),
    ],
)
def test_an_x_that_is_wrong_as_a_whole_is_refused_with_the_fix(X, options, message):
    """The message says what to pass instead."""
    with pytest.raises(ValueError, match=message):
        read_images(X, **options)


def test_iterators_and_sparse_tables_are_refused():
    """Neither has items that can be read twice."""
    with pytest.raises(TypeError, match="Sparse data was passed"):
        read_images(sparse.eye(3))
    with pytest.raises(TypeError, match="Convert an iterator to a list"):
        read_images(path for path in ["a.jpg"])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (None, "is missing"),
        (float("nan"), "is missing"),
        (pd.NA, "is missing"),
        (7, "is of type int; an image is a path"),
        (np.zeros((3, 9, 3), np.uint8), "could be \\(H, W, C\\) or \\(C, H, W\\)"),
        (np.zeros((9, 9, 2), np.uint8), "neither the first nor the last axis"),
        (np.zeros((9,), np.uint8), "an image has shape"),
        (np.zeros((0, 9), np.uint8), "has no pixels"),
        (np.full((9, 9), 1.5), r"outside 0 to 1; .*white is 255 .*value_range=\(0, 255\)"),
        (np.full((9, 9), 200.0), r"pass value_range=\(0, 255\)"),
        (np.full((9, 9), 4000.0), r"pass value_range=\(0, 65535\)"),
        (np.full((9, 9), -0.5), r"pass value_range=\(-1, 1\)"),
        (np.linspace(-2.1, 2.6, 81).reshape(9, 9), "normalised.*as they were before"),
        (np.full((9, 9), -500.0), r"pass value_range=\(low, high\), what black and white"),
        (np.full((9, 9), np.nan), "NaN or infinity"),
        (np.full((9, 9), np.inf), "NaN or infinity"),
        (np.full((9, 9), 5, dtype=np.int64), "range is not known"),
        (np.array(["a"]), "is not an image"),
        (b"", "holds no bytes"),
    ],
)
def test_an_item_that_cannot_be_an_image_says_why(item, message):
    """Nothing is guessed from the values that one item happens to hold."""

    def road(items):
        items.digest(0)
        return items.load(0)

    with pytest.raises(BadItemError, match=message):
        road(read_images([item]))


def test_the_range_of_floats_is_never_guessed_from_one_image():
    """A dark picture stays dark: 0.5 is half of white whatever else the image holds."""
    np.testing.assert_array_equal(np.unique(load(np.full((4, 4), 0.5))), [128])
    np.testing.assert_array_equal(np.unique(load(np.full((4, 4), 1, np.uint8))), [1])
    np.testing.assert_array_equal(np.unique(load(np.full((4, 4), True))), [255])
    assert load(np.full((4, 4), 5), value_range=(0, 10))[0, 0, 0] == 128


MODES = {
    "1": (photo().convert("1"), photo().convert("1").convert("RGB")),
    "L": (photo().convert("L"), photo().convert("L").convert("RGB")),
    "P": (photo().quantize(16), photo().quantize(16).convert("RGB")),
    "CMYK": (photo().convert("CMYK"), photo().convert("CMYK").convert("RGB")),
    "YCbCr": (photo().convert("YCbCr"), photo().convert("YCbCr").convert("RGB")),
    "HSV": (photo().convert("HSV"), photo().convert("HSV").convert("RGB")),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_what_a_person_sees(mode):
    """Palettes, print colours and one-bit pictures."""
    image, expected = MODES[mode]

    np.testing.assert_array_equal(load(image), np.asarray(expected))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_pixels_are_shown_on_white(mode):
    """What cannot be seen is not what decides the features."""
    image = photo().convert("RGBA")
    image.putalpha(0)
    if mode == "PA":
        image = image.convert("RGBA").convert("LA").convert("RGBA")
    image = image.convert("LA") if mode == "LA" else image

    assert (load(image) == 255).all()
    assert (load(encode(image, "PNG")) == 255).all()


def test_transparency_in_a_palette_is_shown_on_white():
    """A GIF's transparent colour is seen through."""
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.info["transparency"] = 0

    assert (load(encode(image, "GIF", transparency=0)) == 255).all()


def on_white(values, clear):
    """Show grey values of 16 bits, but those of one value as white."""
    grey = np.where(values == clear, 255, np.round(values / 257))
    return np.stack([grey.astype(np.uint8)] * 3, -1)


@pytest.mark.parametrize("clear", [0, 7, 65535])
def test_a_transparent_grey_of_sixteen_bits_is_shown_on_white(clear):
    """As the transparent colour of any other picture is, in files and in PIL images."""
    values = (np.arange(4096).reshape(64, 64) * 16).astype(np.uint16)
    values[10:50, 10:50] = clear
    data = encode(Image.fromarray(values), "PNG", transparency=clear)

    for item in (data, Image.open(io.BytesIO(data))):
        np.testing.assert_array_equal(load(item), on_white(values, clear))


def test_a_transparent_colour_of_sixteen_bits_hides_that_colour_alone():
    """Pillow compares its lower half with pixels of which it has kept the higher."""
    pixels = np.zeros((2, 3, 3), np.uint16)
    pixels[0], pixels[1] = 0x1234, 0x3434
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    data = png_by_hand(16, 2, lines, (3, 2), tRNS=bytes.fromhex("1234" * 3))

    np.testing.assert_array_equal(np.unique(load(data)[0]), [255])
    np.testing.assert_array_equal(np.unique(load(data)[1]), [0x34])


@pytest.mark.parametrize(
    ("mode", "clear"), [("1", 0), ("1", 255), ("L", 46), ("RGB", (46, 46, 46)), ("P", 46)]
)
def test_one_transparent_colour_is_shown_on_white(mode, clear):
    """In every kind of PNG that has one, as Pillow's own alpha channel says."""
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) % 11 * 23).convert(mode)
    data = encode(image, "PNG", transparency=clear)
    reference = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGBA", reference.size, "white")
    expected = np.asarray(Image.alpha_composite(white, reference).convert("RGB"))

    assert (np.asarray(reference)[..., 3] == 0).any()
    np.testing.assert_array_equal(load(data), expected)


def test_the_same_picture_has_the_same_pixels_as_a_file_and_opened(tmp_path):
    """In every mode that PNG, TIFF and PPM hold, before and after Pillow has loaded it."""
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "F"):
        image = in_mode(mode)
        for kind in ("PNG", "TIFF", "PPM"):
            data = save(image, kind)
            if data is None or (mode == "F" and kind == "PPM"):
                continue
            opened, loaded = (Image.open(io.BytesIO(data)) for _ in range(2))
            loaded.load()
            for form in (opened, loaded):
                np.testing.assert_array_equal(load(form), load(data), err_msg=f"{kind} of {mode}")


def test_a_four_channel_array_is_shown_on_white():
    """An RGBA array is what an RGBA image is."""
    rgba = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 100, np.uint8)])

    np.testing.assert_array_equal(load(rgba), load(Image.fromarray(rgba)))


def test_sixteen_bits_keep_their_tone():
    """Half of white is half of white, not saturated."""
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    expected = np.stack([np.round(deep / 257).astype(np.uint8)] * 3, -1)

    np.testing.assert_array_equal(load(Image.fromarray(deep)), expected)
    np.testing.assert_array_equal(load(encode(Image.fromarray(deep), "PNG")), expected)
    np.testing.assert_array_equal(load(encode(Image.fromarray(deep), "TIFF")), expected)
    np.testing.assert_array_equal(load(deep), expected)


def test_an_image_of_floats_or_wide_integers_follows_the_rule_for_arrays():
    """Pillow's modes F and I hold numbers of any range."""
    ramp = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_array_equal(load(Image.fromarray(ramp)), load(ramp))
    with pytest.raises(BadItemError, match="outside 0 to 1"):
        load(Image.fromarray(ramp * 255))
    with pytest.raises(BadItemError, match="range is not known"):
        load(Image.fromarray(np.arange(16, dtype=np.int32).reshape(4, 4)))


def test_a_photo_is_turned_as_its_camera_noted(tmp_path):
    """All eight orientations, in files and in PIL images, which stay as they are."""
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(photo(), "PNG", exif=exif)
        (tmp_path / "turned.png").write_bytes(data)
        opened = Image.open(tmp_path / "turned.png")
        turned = load(data)

        assert turned.shape[:2] == ((23, 37) if orientation <= 4 else (37, 23))
        np.testing.assert_array_equal(load(opened), turned)
        assert opened.getexif()[0x0112] == orientation


def test_only_the_first_frame_of_an_animation_is_read():
    """The frame that a viewer shows first."""
    frames = [photo(seed) for seed in range(3)]
    data = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])

    np.testing.assert_array_equal(load(data), np.asarray(frames[0]))


def test_different_content_has_different_digests(png):
    """Also where the bytes are the same and mean something else."""
    data = png.read_bytes()
    different = [
        data,
        np.frombuffer(data, np.uint8),
        PIXELS,
        PIXELS.transpose(1, 0, 2),
        PIXELS.view(np.int8),
        PIXELS[:, ::-1],
    ]
    items = read_images(different)
    ranged = read_images([PIXELS], value_range=(0, 128))
    digests = [items.digest(i) for i in range(len(different))] + [ranged.digest(0)]

    assert len(set(digests)) == len(different) + 1
    assert all(len(digest) == 32 for digest in digests)


def test_what_was_hashed_is_what_is_decoded(png):
    """A row is never stored under the name of another, although the file changes meanwhile."""
    items = read_images([png])
    before = items.load(0)
    items.digest(0)
    photo(1).save(png)

    np.testing.assert_array_equal(items.load(0), before)


def test_a_file_that_is_read_as_far_as_it_goes_is_another_item(png, monkeypatch):
    """Pillow's setting for the whole process decides such a row, and nobody without it gets it."""
    file, pixels = read_images([png]).digest(0), read_images([PIXELS]).digest(0)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)

    assert read_images([png]).digest(0) != file
    assert read_images([PIXELS]).digest(0) == pixels


def test_a_file_that_changes_between_hashing_and_decoding_is_noticed(png, monkeypatch):
    """Where there is no room for its bytes in between, it is read twice."""
    monkeypatch.setattr(_held, "MOST_BYTES", 0)
    items = read_images([png])
    items.digest(0)
    photo(1).save(png)

    with pytest.raises(BadItemError, match="changed while"):
        items.load(0)


def test_an_item_is_named_by_its_place_and_path():
    """Long paths are cut at the front, where they say least."""
    items = read_images(["cat.jpg", PIXELS, "x" * 500])

    assert items.name(0) == "Item 0 of X ('cat.jpg')"
    assert items.name(1) == "Item 1 of X"
    assert len(items.name(2)) < 160
