"""Odd items among good ones: each is read, or is its own error; the others do not notice."""

from __future__ import annotations

import array
import enum
import gzip
import io
import mmap
import os
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_pretrained.exceptions import BadItemError, BadItemWarning
from sklearn_pretrained.inputs import read_images
from tests.hostile import trial
from tests.inputs.corpus import encode, photo

PNG = encode(photo(), "PNG")
PIXELS = np.asarray(photo())


class Raising:
    """Raises whatever is asked of it."""

    def __init__(self, *methods):
        self._methods = methods

    def __getattr__(self, name):
        if name in self._methods:
            raise RuntimeError("no " + name)
        raise AttributeError(name)


class RaisingArray:
    """Says that it is an array, and is not."""

    def __array__(self, *_, **__):
        raise OSError("the disk is gone")


class RaisingPath:
    """Says that it is a path, and is not."""

    def __fspath__(self):
        raise PermissionError("not yours")


class LyingPath:
    """Is a path of a kind that is not one."""

    def __fspath__(self):
        return b"cat.jpg"


class Arrayish:
    """Gives an array, as the arrays of other libraries do."""

    def __array__(self, dtype=None, copy=None):
        return np.array(PIXELS, dtype=dtype)


class EndlessPipe(io.RawIOBase):
    """A stream without a start."""

    def readable(self):
        return True

    def readinto(self, buffer):
        return len(buffer)


def closed(file):
    file.close()
    return file


def released(view):
    view.release()
    return view


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(3, 8, 8), 0.1, 0, torch.quint8)


SNAKE: list = []
SNAKE.append(SNAKE)
DEVICE = io.FileIO("/dev/zero", closefd=True)


@pytest.fixture(scope="module", autouse=True)
def device_is_closed():
    """Close the device behind the tests."""
    yield
    DEVICE.close()


BAD = {
    "sparse tensor": lambda: torch.ones(3, 8, 8).to_sparse(),
    "meta tensor": lambda: torch.ones(3, 8, 8, device="meta"),
    "quantised tensor": quantised,
    "complex tensor": lambda: torch.ones(3, 8, 8, dtype=torch.complex64),
    "tensor of 8-bit floats": lambda: torch.ones(3, 8, 8).to(torch.float8_e4m3fn),
    "scalar tensor": lambda: torch.tensor(1.0),
    "dict": lambda: {"a": PNG},
    "empty dict": dict,
    "cell of nothing": lambda: {"bytes": None, "path": None},
    "cell of junk": lambda: {"bytes": b"junk", "path": "junk.png"},
    "set": lambda: {1, 2},
    "function": lambda: print,
    "type": lambda: dict,
    "module": lambda: types,
    "object": object,
    "generator": lambda: (i for i in range(3)),
    "object whose __array__ raises": RaisingArray,
    "object whose __fspath__ raises": RaisingPath,
    "path of bytes": LyingPath,
    "object whose attributes raise": lambda: Raising("getexif", "__fspath__"),
    "object whose read raises": lambda: Raising("seekable"),
    "mock of a file": lambda: types.SimpleNamespace(read=lambda: b""),
    "closed BytesIO": lambda: closed(io.BytesIO(PNG)),
    "file of text": lambda: io.StringIO("text"),
    "pipe": EndlessPipe,
    "device": lambda: DEVICE,
    "released memoryview": lambda: released(memoryview(PNG)),
    "memoryview of floats": lambda: memoryview(np.ones((4, 4))),
    "masked array": lambda: np.ma.masked_array(np.ones((4, 4)), mask=np.eye(4)),
    "array of objects": lambda: np.array([[None, 1], [2, 3]], dtype=object),
    "structured array": lambda: np.zeros((4, 4), dtype=[("a", "u1")]),
    "array of dates": lambda: np.zeros((4, 4), "datetime64[s]"),
    "ragged list": lambda: [[1, 2], [3]],
    "list that holds itself": lambda: SNAKE,
    "two images": lambda: (photo(), photo()),
    "two paths": lambda: ("a.png", "b.png"),
    "empty tuple": tuple,
    "arrow scalar of nothing": lambda: pa.scalar(None),
    "array of bytes": lambda: array.array("d", [1.0]),
    "NaN": lambda: float("nan"),
    "missing path": lambda: Path("no") / "such.png",
}


class Names(str, enum.Enum):  # noqa: UP042  whose str() is not its text, unlike a StrEnum's
    """Paths as members of an enum."""

    PICTURE = "picture.png"


def opened(path):
    file = open(path, "rb")  # noqa: SIM115
    file.seek(5)
    return file


def mapped(path):
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


GOOD = {
    "bytes": lambda _: PNG,
    "strided memoryview": lambda _: memoryview(b"".join(bytes([x, 0]) for x in PNG))[::2],
    "memoryview of signed bytes": lambda _: memoryview(PNG).cast("b"),
    "bytearray": lambda _: bytearray(PNG),
    "BytesIO": lambda _: io.BytesIO(PNG),
    "BytesIO that was read": lambda _: opened_at_its_end(io.BytesIO(PNG)),
    "open file": opened,
    "compressed file": lambda path: gzip.open(f"{path}.gz"),  # noqa: SIM115
    "member of an archive": lambda path: zipfile.ZipFile(f"{path}.zip").open("picture.png"),  # noqa: SIM115
    "mapped file": mapped,
    "member of a str enum": lambda _: Names.PICTURE,
    "cell of bytes": lambda _: {"bytes": PNG, "path": None},
    "cell of a path": lambda path: {"bytes": None, "path": str(path)},
    "image and label": lambda _: (photo(), 3),
    "path and label": lambda path: (str(path), 3),
    "image and boxes": lambda _: (PIXELS, {"boxes": []}),
    "image alone in a tuple": lambda _: (photo(),),
    "array of another library": lambda _: Arrayish(),
    "array of the other byte order": lambda _: (PIXELS.astype(np.uint16) * 257).astype(">u2"),
    "tensor with a gradient": lambda _: torch.from_numpy(PIXELS / 255).requires_grad_(),
    "tensor of bfloat16 masks": lambda _: torch.from_numpy(PIXELS / 255),
    "negated view": lambda _: torch._neg_view(-torch.from_numpy(PIXELS / 255)),
}


def opened_at_its_end(file):
    file.read()
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write the picture in several ways, and go where it is."""
    place = tmp_path_factory.mktemp("odd")
    (place / "picture.png").write_bytes(PNG)
    with gzip.open(place / "picture.png.gz", "wb") as file:
        file.write(PNG)
    with zipfile.ZipFile(place / "picture.png.zip", "w") as archive:
        archive.write(place / "picture.png", "picture.png")
    before = Path.cwd()
    os.chdir(place)
    yield place
    os.chdir(before)


@pytest.mark.parametrize("name", GOOD)
def test_what_holds_a_picture_is_read(name, folder):
    """As often as it is asked for, and a file object stays where it was."""
    item = GOOD[name](folder / "picture.png")
    place = item.tell() if hasattr(item, "tell") else None
    items = read_images([item])

    for _ in range(2):
        assert len(items.digest(0)) == 32
        np.testing.assert_array_equal(items.load(0), PIXELS)
    assert place == (item.tell() if hasattr(item, "tell") else None)
    if hasattr(item, "close"):
        item.close()


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_an_image_is_an_error_of_that_item(name):
    """Whatever it raises; the message names the row, and no address in memory."""
    featurizer = trial.images(on_error="raise").fit([PNG])
    with pytest.raises(BadItemError, match=r"^Item 1 of X.*Remove it, or pass on_error='nan'") as e:
        featurizer.transform([PNG, BAD[name](), PNG])

    assert " at 0x" not in str(e.value)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["good", *BAD]), min_size=1, max_size=12))
def test_odd_items_leave_the_rows_of_the_others_alone(names):
    """Wherever they stand, alone or many; each is a row of NaN and is listed."""
    featurizer = trial.images().fit([PNG])
    row = featurizer.transform([PNG])[0]
    X = [PNG if name == "good" else BAD[name]() for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadItemWarning)
        rows = featurizer.transform(X)

    bad = [i for i, name in enumerate(names) if name != "good"]
    assert list(featurizer.bad_items_) == bad
    assert all(featurizer.bad_items_[i].startswith(f"Item {i} of X") for i in bad)
    expected = [np.full_like(row, np.nan) if i in bad else row for i in range(len(names))]
    np.testing.assert_array_equal(rows, expected)


def test_an_error_names_the_file_of_an_item(tmp_path):
    """Of a path in a cell or a tuple, of an open file, and of a member of a str enum."""
    (tmp_path / "junk.png").write_bytes(b"junk")
    path = str(tmp_path / "junk.png")
    with open(path, "rb") as file:
        items = read_images([{"bytes": None, "path": path}, (path, 1), file, Names.PICTURE])
        names = [items.name(i) for i in range(4)]

    assert names[:3] == [f"Item {i} of X ({path!r})" for i in range(3)]
    assert names[3] == "Item 3 of X ('picture.png')"


def test_the_advice_fits_the_fault():
    """Where all images are likely to be alike, to remove one is not what helps first."""
    image = np.full((9, 9, 3), 200.0)
    featurizer = trial.images(on_error="raise").fit([PNG])
    with pytest.raises(BadItemError, match=r"pass value_range=\(0, 255\)\. Otherwise, remove it"):
        featurizer.transform([image])
