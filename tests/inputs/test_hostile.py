"""Hostile and odd files: each is a right image, or an error of that one item."""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sklearn_pretrained.exceptions import BadItemError
from sklearn_pretrained.inputs import read_images
from tests.inputs import corpus


def outcome(item):
    """Load one item: its pixels, or the error that it gives."""
    items = read_images([item])
    try:
        items.digest(0)
        return items.load(0)
    except BadItemError as error:
        return error


def is_image(pixels) -> bool:
    return (
        isinstance(pixels, np.ndarray)
        and pixels.dtype == np.uint8
        and pixels.ndim == 3
        and pixels.shape[2] == 3
        and pixels.size > 0
    )


def test_five_hundred_broken_files_give_an_image_or_an_error_that_says_why():
    """No file crashes, hangs, or raises anything but the error of an item."""
    cases = list(corpus.broken())
    assert len(cases) >= 500
    refused = 0
    for name, data in cases:
        started = time.perf_counter()
        result = outcome(data)
        assert time.perf_counter() - started < 10, name
        if isinstance(result, BadItemError):
            refused += 1
            assert len(str(result)) > 10, name
            assert "0x" not in str(result), name
        else:
            assert is_image(result), name
    assert 100 < refused < len(cases)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF"])
def test_a_file_cut_short_is_refused_never_filled_with_grey(kind):
    """Half a picture is no picture."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = corpus.encode(noise, kind)

    assert is_image(outcome(whole))
    assert isinstance(outcome(whole[: len(whole) // 2]), BadItemError)


def test_a_decompression_bomb_is_refused_and_nothing_else_is_changed():
    """The limit is Pillow's own, and its warning does not leak."""
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = outcome(corpus.bomb())

    assert "too large to be decoded safely" in str(result)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    """A pipe would block for ever, and a folder holds no image."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    assert "device or pipe" in str(outcome(pipe))
    assert "is a folder" in str(outcome(tmp_path))
    assert "does not exist" in str(outcome(tmp_path / "nothing.png"))
    assert "download the file first" in str(outcome("https://example.org/cat.jpg"))
    assert "could not be opened" in str(outcome("with\0zero.png"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_an_image_or_an_error_of_that_item(data):
    """Whatever the bytes."""
    result = outcome(data)

    assert isinstance(result, BadItemError) or is_image(result)


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(
        dtype=st.sampled_from([np.uint8, np.uint16, np.int32, np.float32, np.float64, np.bool_]),
        shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    )
)
def test_any_array_gives_an_image_or_an_error_of_that_item(array):
    """Whatever its shape, type and values."""
    result = outcome(array)

    assert isinstance(result, BadItemError) or is_image(result)
