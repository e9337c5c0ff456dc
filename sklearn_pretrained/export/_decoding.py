"""The bytes of a JPEG or PNG file → uint8 pixels, upright, as an ONNX graph.

onnxruntime-extensions decodes. What its decoder would read otherwise than Pillow is refused before:
transparency, interlacing and CMYK, which it does not know, and files that were cut, for whose rest
it waits forever.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._operators import Operators
from ._resizing import PIXELS

BYTES = "bytes"
DOMAIN = "com.microsoft.extensions"
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = 1 << 17
"""Where EXIF lies, and where a PNG says what is transparent."""
_TAIL = 1 << 12
"""Where a JPEG ends; some programs write more behind it."""
_MOST_TAGS = 256
_ORIENTATION, _LONG = 0x0112, 4
_LATE = [(0, 0, None, None, *b"eXIf"), (0, 0, None, None, *b"tRNS")]
"""How chunks of less than 64 KB begin in a PNG: with their length."""
_ORIENTATIONS = np.arange(9)
_TURNED = _ORIENTATIONS >= 5  # noqa: PLR2004  rows become columns
_FROM_BELOW = np.isin(_ORIENTATIONS, [3, 4, 6, 7])
_FROM_THE_RIGHT = np.isin(_ORIENTATIONS, [2, 3, 7, 8])


def decoding_graph(like: Any) -> Any:
    """Build the graph: ``bytes`` (length,) → ``pixels`` (1, height, width, 3).

    Parameters
    ----------
    like : ModelProto
        Whose opset and version of the format it has.
    """
    op = Operators()
    file = op.input(BYTES, "UINT8", ["length"])
    # So that every place that is looked at exists.
    head = op.Concat(op.Slice(file, [0], [_HEAD]), np.zeros(64, np.uint8), axis=0)
    head = op.cast(head, "INT32")
    orientation, in_exif = _orientation(op, head)
    whole = _checked(op, file, head, in_exif)
    decoded = op.of(DOMAIN, "DecodeImage", whole, color_space="rgb")
    upright = _turned(op, _of_three(op, decoded), orientation)
    op.output(PIXELS, op.Unsqueeze(upright, [0]), "UINT8", [1, "height", "width", 3])
    return op.model("decode", like)


def _checked(op: Operators, file: Any, head: Any, in_exif: Any) -> Any:
    """Return the file, or raise an error where the decoder would not give the right pixels."""
    is_png = _begins(op, head, _PNG)
    is_jpeg = _begins(op, head, b"\xff\xd8\xff")
    tail = op.Concat(np.zeros(64, np.uint8), op.Slice(file, [-_TAIL], [1 << 62]), axis=0)
    ends = _is_in(op, op.cast(tail, "INT32"), b"\xff\xd9")
    colour, laced = op.Gather(head, 25), op.Gather(head, 28)
    opaque = op.And(
        op.Less(colour, np.int32(4)),
        op.Not(_is_in(op, head, b"tRNS")),  # 4 and 6 have alpha
    )
    rest = op.Slice(file, [_HEAD - 7], [1 << 62])
    rest = op.cast(op.Concat(rest, np.zeros(64, np.uint8), axis=0), "INT32")
    late = op.Or(*(_is_in(op, rest, begins) for begins in _LATE))
    rules = {
        "the bytes are no JPEG or PNG file": op.Or(is_png, is_jpeg),
        "the JPEG file is cut, or has more than 4 KB behind its end": op.Or(op.Not(is_jpeg), ends),
        "a PNG file with transparency is not read": op.Or(op.Not(is_png), opaque),
        "an interlaced PNG file is not read": op.Or(op.Not(is_png), op.Equal(laced, np.int32(0))),
        "a PNG file with EXIF or transparency behind its first 128 KB is not read": op.Or(
            op.Not(is_png), op.Not(late)
        ),
        "an orientation that stands in XMP alone is not read": op.Or(
            op.Not(_is_in(op, head, b"tiff:Orientation")), in_exif
        ),
    }
    start = op.Constant(value_ints=[0])
    for why, holds in rules.items():
        start = _fails_unless(op, holds, start, why)
    return op.Slice(file, start, [1 << 62])


def _fails_unless(op: Operators, holds: Any, value: Any, why: str) -> Any:
    """Hand a value of one number on; the error else names the node, which is why."""
    return op.named(why, "Gather", value, op.Where(holds, [0], [1 << 30]))


def _begins(op: Operators, head: Any, what: bytes) -> Any:
    found = op.Equal(op.Slice(head, [0], [len(what)]), np.frombuffer(what, np.uint8).astype("i4"))
    return op.cast(op.ReduceMin(op.cast(found, "INT32"), keepdims=0), "BOOL")


def _places(op: Operators, numbers: Any, what: Sequence[int | None]) -> Any:
    """Say at which places some bytes begin, as 0 and 1; None stands for any byte."""
    count = op.Sub(op.Shape(numbers), len(what) - 1)
    found = None
    for i, byte in enumerate(what):
        if byte is None:
            continue
        part = op.Slice(numbers, [i], op.Add(count, i))
        here = op.Equal(part, np.int32(byte))
        found = here if found is None else op.And(found, here)
    return op.cast(found, "INT32")


def _is_in(op: Operators, numbers: Any, what: Sequence[int | None]) -> Any:
    return op.cast(op.ReduceMax(_places(op, numbers, what), keepdims=0), "BOOL")


def _of_three(op: Operators, decoded: Any) -> Any:
    """Let grey be red, green and blue; four channels are CMYK."""
    channels = op.Shape(decoded, start=2, end=3)
    last = _fails_unless(
        op,
        op.Or(op.Equal(channels, 1), op.Equal(channels, 3)),
        op.Sub(channels, 1),
        "a JPEG file of CMYK is not read",
    )
    return op.Gather(decoded, op.Min([0, 1, 2], last), axis=2)


def _orientation(op: Operators, head: Any) -> tuple[Any, Any]:
    """Read what EXIF says of a JPEG or PNG, else 1, which is upright; and whether it says it."""
    jpeg, png = _places(op, head, b"Exif\0\0"), _places(op, head, b"eXIf")
    has_jpeg, has_png = (op.ReduceMax(one, keepdims=0) for one in (jpeg, png))
    first = [op.ArgMax(one, keepdims=0) for one in (jpeg, png)]
    start = op.Where(op.cast(has_jpeg, "BOOL"), op.Add(first[0], 6), op.Add(first[1], 4))
    most = op.Sub(op.Squeeze(op.Shape(head)), 4)

    def byte(place: Any) -> Any:
        return op.Gather(head, op.Max(op.Min(place, most), 0))

    is_little = op.Equal(byte(start), np.int32(ord("I")))

    def number(place: Any, size: int) -> Any:
        parts = [byte(op.Add(place, i)) for i in range(size)]
        scales = [np.int32(1 << 8 * i) for i in range(size)]
        little, big = (
            functools.reduce(op.Add, map(op.Mul, parts, order)) for order in (scales, scales[::-1])
        )
        return op.cast(op.Where(is_little, little, big), "INT64")

    table = op.Add(start, number(op.Add(start, 4), 4))
    entries = np.arange(_MOST_TAGS)
    places = op.Add(op.Add(table, 2), entries * 12)
    is_it = op.And(op.Equal(number(places, 2), _ORIENTATION), op.Less(entries, number(table, 2)))
    value = op.Add(places, 8)
    is_long = op.Equal(number(op.Add(places, 2), 2), _LONG)
    value = op.Where(is_long, number(value, 4), number(value, 2))
    found = op.ReduceMax(op.Where(is_it, value, 0), keepdims=0)
    is_known = op.And(
        op.And(op.Greater(found, 0), op.Less(found, len(_ORIENTATIONS))),
        op.cast(op.Max(has_jpeg, has_png), "BOOL"),
    )
    return op.Where(is_known, found, 1), is_known


def _turned(op: Operators, pixels: Any, orientation: Any) -> Any:
    """Turn and mirror an image (height, width, 3): each pixel is taken from where it was."""
    size = op.Shape(pixels, end=2)
    height, width = (op.cast(op.Gather(size, i), "INT32") for i in (0, 1))
    one, none = np.int32(1), np.int32(0)
    turned, below, right = (
        op.Gather(table, orientation) for table in (_TURNED, _FROM_BELOW, _FROM_THE_RIGHT)
    )
    down = op.Where(below, op.Neg(width), width)
    across = op.Where(right, np.int32(-1), one)
    first = op.Add(
        op.Where(below, op.Mul(op.Sub(height, one), width), none),
        op.Where(right, op.Sub(width, one), none),
    )
    rows = op.Range(none, op.Where(turned, width, height), one)
    columns = op.Range(none, op.Where(turned, height, width), one)
    by_row, by_column = op.Where(turned, across, down), op.Where(turned, down, across)
    places = op.Add(
        op.Unsqueeze(op.Add(op.Mul(rows, by_row), first), [1]), op.Mul(columns, by_column)
    )
    return op.Gather(op.Reshape(pixels, [-1, 3]), places)
