"""What is hashed again and again is told by a faster hash, and has the digest that it has."""

from __future__ import annotations

import numpy as np
import pytest

from sklearn_pretrained.inputs import BadItems, _digest, _known_contents, read_images
from sklearn_pretrained.inputs._copies import Copies
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


def test_an_array_that_comes_a_third_time_is_not_hashed(pictures, monkeypatch):
    """It is compared with a copy, whatever object holds it."""
    release()
    images, expected = pictures
    assert digests(images) == digests(images) == expected

    monkeypatch.setattr(_known_contents, "_hashed", None)
    assert digests(images) == digests(np.stack(images)) == expected
    for image in images:
        image.flags.writeable = False
    assert digests(images) == expected


def test_an_array_that_is_like_its_copy_but_for_one_byte_has_another_digest(pictures):
    """Wherever that is, the first and the last byte too, and those that lie between samples."""
    release()
    images, expected = pictures
    for _ in range(3):
        assert digests(images) == expected
    for place in (0, 1, 599, images[0].size - 1):
        image = images[5].reshape(-1)
        image[place] ^= 1
        for _ in range(4):  # each time the copy is of what was there before, or of what is
            found = digests(images)
            assert found[5] == _digest.of_array(images[5], "pixels:None") != expected[5]
            assert found[:5] + found[6:] == expected[:5] + expected[6:]
        image[place] ^= 1
        assert digests(images) == expected


@pytest.mark.parametrize(
    "form",
    [
        lambda image: image[::-1],
        np.asfortranarray,
        lambda image: image.astype(">u2"),
        lambda image: image.astype(np.float32) / 255,
        lambda image: image.view(np.memmap),
    ],
    ids=["reversed", "columns", "big-endian", "float", "subclass"],
)
def test_an_array_in_another_form_is_compared_as_it_is_hashed(form):
    """By its numbers in the order of its axes, in the machine's order of bytes."""
    release()
    rng = np.random.default_rng(0)
    images = [form(rng.integers(0, 256, (90, 80, 3), np.uint8)) for _ in range(MANY)]
    native = [np.asarray(x, x.dtype.newbyteorder("=")) for x in images]
    expected = [_digest.of_array(x, "pixels:None") for x in native]
    for _ in range(4):
        assert digests(images) == expected
    images[2][40, 7, 1] = 0 if images[2][40, 7, 1] else 1
    found = digests(images)
    assert found[2] != expected[2]
    assert found[:2] + found[3:] == expected[:2] + expected[3:]


def test_contents_of_which_one_is_the_start_of_another_differ():
    """Though they share the bytes that are looked at first."""
    release()
    long = bytes(1 << 15)
    for _ in range(4):
        for content in (long, long[: 1 << 14], memoryview(long)[: 3 << 13]):
            found = _known_contents.digest_of(content, "file", again=True)
            assert found == _digest.of_bytes(content, "file")


def test_an_array_that_changes_while_it_is_copied_leaves_nothing_wrong(monkeypatch):
    """A copy is hashed itself."""
    release()
    array = np.zeros((90, 80, 3), np.uint8)
    before, after = array.copy(), array.copy()
    after[40, 7, 1] = 1
    hashed = _known_contents._hashed

    def changing(content, kind):
        array[:] = after
        return hashed(content, kind)

    for _ in range(3):
        array[:] = before
        with monkeypatch.context() as patched:
            patched.setattr(_known_contents, "_hashed", changing)
            _known_contents.digest_of(array, "pixels", again=True)
        for content in (before, after, before):
            expected = _digest.of_array(content, "pixels")
            assert _known_contents.digest_of(content, "pixels", again=True) == expected


def test_copies_are_bounded_and_keep_their_places(pictures, monkeypatch):
    """Until nobody asks for them any more."""
    images, expected = pictures
    few = Copies(4 * images[0].nbytes)
    monkeypatch.setattr(_known_contents, "copies", few)
    for _ in range(5):
        assert digests(images) == expected
        assert sum(len(entry.copy or b"") for entry in few._entries.values()) == few._bytes
        assert few._bytes <= 4 * images[0].nbytes
    held = {entry.digest for entry in few._entries.values() if entry.copy}
    assert len(held) == 4

    others = [255 - image for image in images]
    others_expected = [_digest.of_array(image, "pixels:None") for image in others]
    for _ in range(12):
        assert digests(others) == others_expected
        assert few._bytes == sum(len(entry.copy or b"") for entry in few._entries.values())
        assert few._bytes <= 4 * images[0].nbytes
    assert {entry.digest for entry in few._entries.values() if entry.copy} <= {*others_expected}


def together(X):
    """Digest all items of an X as a road does, window by window."""
    items = read_images(X)
    return BadItems(items, raises=True).digests(range(len(items)))


def test_arrays_that_came_before_are_compared_in_one_go(pictures, monkeypatch):
    """In any order and choice, as folds are; none is looked for by what it holds."""
    release()
    images, expected = pictures
    for _ in range(3):
        assert together(images) == expected

    monkeypatch.setattr(_known_contents, "digest_of", None)
    assert together(images) == together(tuple(images)) == expected
    assert together(images[::-1]) == expected[::-1]
    assert together([*images, images[3]]) == [*expected, expected[3]]


@pytest.mark.parametrize("place", [0, 1, 599, 90 * 80 * 3 - 1])
def test_an_array_that_is_changed_before_it_comes_again_is_another_item(pictures, place):
    """The object only says with which copy to compare: one byte is enough, and back again."""
    release()
    images, expected = pictures
    for _ in range(3):
        together(images)
    for change in range(2):
        images[5].reshape(-1)[place] ^= 1
        found = together(images)
        assert found == [_digest.of_array(image, "pixels:None") for image in images]
        assert (found[5] == expected[5]) == bool(change)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("attribute", "value"),
    [("shape", (45, 180, 3)), ("dtype", np.dtype(np.bool_)), ("strides", (3, 270, 1))],
)
def test_an_object_that_has_another_form_than_before_is_another_item(attribute, value):
    """Though its bytes are the same."""
    release()
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 2, (90, 90, 3), np.uint8) for _ in range(MANY)]
    for _ in range(3):
        before = together(images)
    setattr(images[4], attribute, value)

    found = together(images)
    assert found == [_digest.of_array(image, "pixels:None") for image in images]
    assert [one != other for one, other in zip(found, before, strict=True)] == [
        i == 4 for i in range(MANY)
    ]


def test_an_object_keeps_no_copy_that_had_to_go(pictures, monkeypatch):
    """The bound holds, and what is gone is hashed again."""
    images, expected = pictures
    few = Copies(16 * images[0].nbytes)
    monkeypatch.setattr(_known_contents, "copies", few)
    for _ in range(3):
        together(images)
    held = [*few._likely.values()]
    assert len(held) == MANY
    few.clear()

    assert not few._likely
    assert not few._bytes
    assert all(entry.copy is None for entry in held)
    assert together(images) == expected


def test_few_or_small_images_leave_no_marks(pictures):
    """A service's one image waits for nothing that pays in a search alone."""
    release()
    images, expected = pictures
    assert digests(images[:1]) == expected[:1]
    digests([np.full((8, 8, 3), i, np.uint8) for i in range(MANY)])

    assert not _known_contents._known
    assert not len(_known_contents.copies)


def test_marks_are_bounded(pictures, monkeypatch):
    """The oldest go first, and are hashed again."""
    release()
    images, expected = pictures
    monkeypatch.setattr(_known_contents, "_MOST", 4)
    assert digests(images) == expected

    assert [*_known_contents._known.values()] == expected[-4:]
    assert digests(images) == expected
