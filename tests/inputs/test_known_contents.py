"""What is hashed again and again is told by a faster hash, and has the digest that it has."""

from __future__ import annotations

import numpy as np
import pytest

from sklearn_pretrained.inputs import _digest, _known_contents, read_images
from sklearn_pretrained.process import release
from tests.test_digest import crafted

MANY = 16


@pytest.fixture
def hashed(monkeypatch):
    """Count the contents that are hashed by BLAKE3."""
    release()
    found = []
    of_bytes = _digest.of_bytes
    monkeypatch.setattr(
        _digest, "of_bytes", lambda data, kind: found.append(kind) or of_bytes(data, kind)
    )
    return found


@pytest.fixture
def pictures():
    """Make as many images as a search may have, and their digests as the documentation says."""
    images = [np.full((90, 80, 3), i, np.uint8) for i in range(MANY)]
    return images, [_digest.of_array(image, "pixels:None") for image in images]


def digests(X):
    """Digest all items of an X."""
    items = read_images(X)
    return [items.digest(i) for i in range(len(items))]


@pytest.mark.parametrize("is_installed", [True, False])
def test_digests_are_the_same_each_time(pictures, monkeypatch, is_installed):
    """Whether they were hashed before or not, and whether the extra is installed or not."""
    images, expected = pictures
    if not is_installed:
        monkeypatch.setattr(_known_contents, "_cipher", lambda: None)

    assert digests(images) == digests(np.stack(images)) == digests(images[::-1])[::-1] == expected


def test_an_array_that_comes_again_is_hashed_once(pictures, hashed):
    """Whatever object holds it: scikit-learn makes other ones for each fold."""
    images, _ = pictures
    digests(images)
    first = len(hashed)
    digests(np.stack(images))
    digests([image.copy() for image in images])

    assert len(hashed) == first == MANY


def test_an_array_that_is_changed_in_place_has_another_digest(pictures):
    """One pixel is enough, and changing it back gives the first digest."""
    images, expected = pictures
    digests(images)
    images[3][40, 7, 1] += 1
    changed = digests(images)
    assert [one != other for one, other in zip(changed, expected, strict=True)] == [
        i == 3 for i in range(MANY)
    ]
    images[3][40, 7, 1] -= 1

    assert digests(images) == expected


def test_equal_bytes_of_another_shape_type_or_kind_differ():
    """Each time: what they mean belongs to what is told again."""
    data = np.arange(90 * 80 * 4, dtype=np.uint8).reshape(90, 80, 4)
    forms = [data, data.reshape(80, 90, 4), data.view(np.uint16), data.tobytes()]

    def all_forms():
        return [
            _known_contents.digest_of(form, kind, again=True)
            for form in forms
            for kind in ("pixels:None", "pixels:(0, 1)")
        ]

    first = all_forms()
    assert len({*first}) == len(first)
    assert all_forms() == first


def test_two_pictures_that_deceive_a_fast_hash_do_not_deceive_this_one():
    """Its key is drawn by each process."""
    one, other = np.tile(crafted(255, 0, 5), (2, 1, 1)), np.tile(crafted(0, 255, 5), (2, 1, 1))
    found = [_known_contents.digest_of(x, "pixels", again=True) for x in (one, other, one)]

    assert found == [_digest.of_array(x, "pixels") for x in (one, other, one)]


def test_an_array_that_changes_while_it_is_hashed_leaves_nothing_wrong(monkeypatch):
    """What is noted is of one content, and the next request reads the array again."""
    release()
    array = np.zeros((90, 80, 3), np.uint8)
    before, after = array.copy(), array + np.uint8(1)
    cipher = _known_contents._cipher()

    class Changing:
        def encrypt(self, *given):
            mark = cipher.encrypt(*given)
            array[:] = after
            return mark

    with monkeypatch.context() as patched:
        patched.setattr(_known_contents, "_cipher", Changing)
        _known_contents.digest_of(array, "pixels", again=True)

    for content in (before, after):
        expected = _digest.of_array(content, "pixels")
        assert _known_contents.digest_of(content, "pixels", again=True) == expected


def test_few_or_small_images_leave_no_marks(pictures):
    """A service's one image waits for nothing that pays in a search alone."""
    release()
    images, expected = pictures
    assert digests(images[:1]) == expected[:1]
    digests([np.full((8, 8, 3), i, np.uint8) for i in range(MANY)])

    assert not _known_contents._known


def test_marks_are_bounded(pictures, monkeypatch):
    """The oldest go first, and are hashed again."""
    release()
    images, expected = pictures
    monkeypatch.setattr(_known_contents, "_MOST", 4)
    assert digests(images) == expected

    assert [*_known_contents._known.values()] == expected[-4:]
    assert digests(images) == expected
