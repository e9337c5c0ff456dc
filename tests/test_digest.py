"""What an item is known by: its content, which nobody can imitate."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import xxhash
from blake3 import blake3

from sklearn_pretrained.inputs import _digest

# XXH3's own constants.
_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff72"
    "21b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9de"
    "acd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa"
    "1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbca"
    "bb4b407e"
)
_SHAPE = (64, 64, 3)


def crafted(first: int, second: int, seed: int) -> np.ndarray:
    """Make a picture whose XXH3 depends on the sum of two values alone."""
    mask = (1 << 64) - 1
    secret = b"".join(
        struct.pack("<QQ", (a + seed) & mask, (b - seed) & mask)
        for a, b in struct.iter_unpack("<QQ", _SECRET)
    )
    data = bytearray(np.prod(_SHAPE))
    for stripe in range(11 * 16):
        for lane in range(8):
            at, in_secret = stripe * 64 + lane * 8, (stripe % 16 + lane) * 8
            data[at : at + 4] = secret[in_secret : in_secret + 4]
            data[at + 4 : at + 8] = bytes([first if stripe % 16 < 8 else second]) * 4
    return np.frombuffer(bytes(data), np.uint8).reshape(_SHAPE)


def test_two_pictures_cannot_be_made_to_share_a_row():
    """They collide under XXH3, a fast hash that is not cryptographic, without brute force."""
    seed = xxhash.xxh3_64_intdigest(f"pixels:None:|u1:{_SHAPE}".encode())
    one, other = crafted(255, 0, seed), crafted(0, 255, seed)
    assert (one != other).mean() > 0.4
    assert xxhash.xxh3_128_digest(one.tobytes(), seed) == xxhash.xxh3_128_digest(
        other.tobytes(), seed
    )

    assert _digest.of_array(one, "pixels:None") != _digest.of_array(other, "pixels:None")


def test_a_digest_is_what_its_documentation_says():
    """Another program can compute it: BLAKE3 of kind, zero byte, content; 32 bytes."""
    assert _digest.of_bytes(b"data", "file") == blake3(b"file\0data").digest()
    assert _digest.of_text("é") == blake3("text\0é".encode()).digest()
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    expected = blake3(b"row:<f4:(2, 3)\0" + array.tobytes()).digest()
    assert _digest.of_array(array, "row") == expected
    assert len(expected) == 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_digest.of_bytes(b"a", "file"), _digest.of_bytes(b"a", "text")),
        (_digest.of_text(("ab", "c")), _digest.of_text(("a", "bc"))),
        (_digest.of_text(("a", "")), _digest.of_text("a")),
        (_digest.of_array(np.zeros(4), "row"), _digest.of_array(np.zeros((2, 2)), "row")),
        (_digest.of_array(np.zeros(1), "row"), _digest.of_array(np.zeros(1, np.int64), "row")),
    ],
)
def test_what_means_something_else_is_another_item(one, other):
    """Kind, shape, type, and the place where a pair is cut."""
    assert one != other
