"""Libraries' warnings about odd files are not heard; the user's own always are."""

from __future__ import annotations

import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sklearn_pretrained.exceptions import BadItemError
from sklearn_pretrained.inputs import read_images
from sklearn_pretrained.process._quiet import quiet


def jpeg(i: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), i % 256, np.uint8)).save(file, "JPEG")
    return file.getvalue()


@quiet
def grumble(then=lambda: None) -> None:
    warnings.warn("a library's", UserWarning, stacklevel=1)
    then()


def test_warnings_below_a_quiet_function_are_not_heard():
    """Whatever filters the user has set, before or since."""
    for action in ("error", "always", "default"):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter(action)
            grumble()
            warnings.simplefilter(action)
            grumble()

        assert heard == []


def test_the_users_warnings_are_heard_while_another_thread_is_quiet():
    """Also afterwards, and the filters do not grow."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        inside, leave = threading.Event(), threading.Event()

        def wait() -> None:
            inside.set()
            leave.wait(20)

        thread = threading.Thread(target=grumble, args=(wait,))
        thread.start()
        inside.wait(20)
        warnings.warn("the user's, meanwhile", UserWarning, stacklevel=1)
        leave.set()
        thread.join()
        warnings.warn("the user's, afterwards", UserWarning, stacklevel=1)
        n = len(warnings.filters)
        for _ in range(10):
            grumble()

        assert len(warnings.filters) == n
    assert [str(one.message) for one in heard] == [
        "the user's, meanwhile",
        "the user's, afterwards",
    ]


def test_two_threads_may_put_the_filter_in_front_at_the_same_time(monkeypatch):
    """The other one has just taken it out from behind what the user has set since."""

    class Racing(list):
        def __contains__(self, _):
            return True

    monkeypatch.setattr(warnings, "filters", Racing([("error", None, UserWarning, None, 0)]))
    grumble()


def test_decoding_in_threads_leaves_the_filters_as_the_user_set_them():
    """Eight threads over many files, some of which make Pillow warn."""
    items = read_images([jpeg(i) for i in range(200)])
    with warnings.catch_warnings():
        items.load(0)
        before = list(warnings.filters)
        for _ in range(3):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(items.load, range(len(items))))

            assert list(warnings.filters) == before


@pytest.mark.parametrize("action", ["ignore", "default", "error"])
def test_a_picture_that_is_too_large_is_refused_whatever_the_users_filters(action, monkeypatch):
    """Pillow would only warn of it."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        for _ in range(2):
            with pytest.raises(BadItemError, match="too large to be decoded safely"):
                read_images([jpeg(0)]).load(0)
