"""A seed → odd, broken and hostile images: named, as bytes, PIL images or paths."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.inputs.corpus import photo

Case = tuple[str, Any]
MODES = (
    *("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"),
    *("CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F"),
)
# Formats that only pass data through to programs of the user's, or that write no pixels.
_NO_IMAGES = {"BUFR", "GRIB", "HDF5", "WMF", "PDF"}
# Without a loss, so that two decoders can be compared; and none that asks other programs.
_ANIMATED = ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO")


def formats() -> list[str]:
    """List the formats that Pillow writes here."""
    Image.init()
    return sorted(set(Image.SAVE) - _NO_IMAGES)


def in_mode(  # noqa: PLR0911  one return for each kind of mode
    mode: str, seed: int = 0, size: tuple[int, int] = (37, 23)
) -> Image.Image:
    """Make a picture in one of Pillow's modes."""
    image = photo(seed, size)
    grey = np.asarray(image.convert("L"))
    alpha = Image.fromarray(np.ascontiguousarray(grey[::-1, ::-1]))
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "I":
        return Image.fromarray(grey.astype(np.int32) * 200)
    if mode.startswith("I;16"):
        order = ">u2" if mode.endswith("B") else "<u2"
        return Image.frombytes(mode, size, (grey.astype(np.uint16) * 257).astype(order).tobytes())
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    if mode in {"P", "PA"}:
        image = image.quantize(32)
        if mode == "PA":
            image = image.convert("PA")
            image.putalpha(alpha)
        return image
    if mode in {"LA", "La"}:
        return Image.merge("LA", (image.convert("L"), alpha)).convert(mode)
    if mode in {"RGBA", "RGBa"}:
        return Image.merge("RGBA", (*image.split(), alpha)).convert(mode)
    return image.convert(mode)


def save(image: Image.Image, kind: str, **options: Any) -> bytes | None:
    """Write an image in a format; None where the format has no place for it."""
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some formats are deprecated, and there still
            image.save(buffer, kind, **options)
    except (OSError, ValueError, KeyError, TypeError, SystemError, AttributeError, struct.error):
        return None
    return buffer.getvalue()


def written(seed: int = 0) -> Iterator[Case]:
    """Yield a picture in every mode, as itself and in every format that takes it."""
    for mode in MODES:
        image = in_mode(mode, seed)
        yield f"a PIL image in {mode}", image
        for kind in formats():
            # An ICNS is ten pictures, which takes its time.
            data = save(image, kind) if kind != "ICNS" or mode == "RGBA" else None
            if data:
                yield f"{kind} of {mode}", data
    for kind in ("PNG", "GIF", "TIFF", "WEBP"):
        yield f"{kind} of a palette with alpha", save(in_mode("RGBA", seed).quantize(16), kind)
    yield "a palette with alpha", in_mode("RGBA", seed).quantize(16)


def turned(seed: int = 0) -> Iterator[Case]:
    """Yield each orientation that a camera may note, and some that none does."""
    for orientation in (*range(10), 255, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
            data = save(photo(seed), kind, exif=exif)
            if data:
                yield f"{kind} with orientation {orientation}", data
    whole = save(photo(seed), "JPEG", exif=exif) or b""
    yield "JPEG with EXIF of noise", whole.replace(b"Exif\0\0", b"Exif\0\1")


def shaped(seed: int = 0) -> Iterator[Case]:
    """Yield sizes that few expect, animations, and files written in unusual ways."""
    for size in ((1, 1), (1, 2), (2, 1), (1, 5000), (5000, 1), (3, 3), (1, 64), (1200, 7)):
        yield f"PNG of {size}", save(photo(seed, size), "PNG")
        yield f"a PIL image of {size}", photo(seed, size)
    frames = [photo(seed + k) for k in range(3)]
    for kind in _ANIMATED:
        data = save(frames[0], kind, save_all=True, append_images=frames[1:])
        if data:
            yield f"{kind} of three frames", data
    yield "progressive JPEG", save(photo(seed), "JPEG", progressive=True)
    yield "JPEG of CMYK by Adobe", save(in_mode("CMYK", seed), "JPEG", quality=95)
    yield "interlaced PNG", interlaced(np.asarray(photo(seed)))
    yield "PNG with 16 bits a colour", png(16, 2, _rows(photo(seed), 16))
    yield "PNG with a transparent grey", png(8, 0, _rows(photo(seed), 8), tRNS=b"\0\x80")
    for kind in ("group3", "group4", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"):
        mode = "1" if kind.startswith("group") else "RGB"
        data = save(in_mode(mode, seed), "TIFF", compression=kind)
        if data:
            yield f"TIFF by {kind}", data
    whole = save(photo(seed), "PNG") or b""
    yield "PNG with text behind it", whole + b"<script>alert(1)</script>"
    yield "PNG with a wrong checksum", whole[:30] + b"\0" + whole[31:]
    yield "PNG without its end", whole[:-12]
    yield "a picture in bytearray", bytearray(whole)
    yield "a picture in memoryview", memoryview(whole)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    depth: int,
    colour: int,
    data: bytes,
    size: tuple[int, int] = (37, 23),
    lace: int = 0,
    **more: Any,
) -> bytes:
    """Write a PNG by hand."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, lace)
    extra = b"".join(_chunk(name.encode(), value) for name, value in more.items())
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(data))
        + _chunk(b"IEND", b"")
    )


def _rows(image: Image.Image, depth: int) -> bytes:
    pixels = np.asarray(image if depth == 16 else image.convert("L"))
    values = (pixels.astype(np.uint16) * 257).astype(">u2") if depth == 16 else pixels
    return b"".join(b"\0" + row.tobytes() for row in values)


def interlaced(pixels: np.ndarray) -> bytes:
    """Write a PNG in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    lines = b""
    for top, left, down, right in (*passes, (1, 0, 2, 1)):
        part = pixels[top::down, left::right]
        if part.size:
            lines += b"".join(b"\0" + row.tobytes() for row in part)
    return png(8, 2, lines, (pixels.shape[1], pixels.shape[0]), lace=1)


def spoiled(seed: int = 0, n: int = 4) -> Iterator[Case]:
    """Yield files cut short, with bits flipped and bytes changed, in every format."""
    for kind in formats():
        for mode in ("RGB", "L", "P", "1"):
            whole = save(in_mode(mode, seed), kind)
            if whole:
                break
        assert whole
        dice = np.random.default_rng([seed, len(whole)])
        for cut in dice.integers(0, len(whole), n):
            yield f"{kind} cut at {cut}", whole[:cut]
        for k in range(n):
            yield f"{kind} with flipped bits {k}", flipped(whole, dice, 1 + 2 * k)
            yield f"{kind} with a wrong header {k}", flipped(whole[:40], dice, 4) + whole[40:]
        yield f"{kind} with its middle gone", whole[: len(whole) // 3] + whole[len(whole) // 2 :]


def flipped(data: bytes, dice: np.random.Generator, n: int) -> bytes:
    """Flip some bits."""
    changed = bytearray(data)
    if not changed:
        return data
    for place in dice.integers(0, 8 * len(changed), n):
        changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


def bombs() -> Iterator[Case]:
    """Yield small files that claim, or become, what no memory holds."""
    zeros = zlib.compress(bytes(10_000))
    for side in (40_000, 2**31 - 1):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zeros) + _chunk(b"IEND", b"")
        yield f"PNG that claims {side} by {side}", b"\x89PNG\r\n\x1a\n" + body
    whole = save(photo(), "PNG") or b""
    much = b"a\0\0" + zlib.compress(bytes(100 << 20), 1)
    for kind, what in ((b"zTXt", "text"), (b"iCCP", "profile")):
        yield f"PNG with a {what} of 100 MB", whole[:33] + _chunk(kind, much) + whole[33:]
    gif = save(photo(), "GIF") or b""
    yield "GIF that claims 65535 by 65535", gif[:6] + b"\xff\xff\xff\xff" + gif[10:]
    bmp = save(photo(), "BMP") or b""
    yield "BMP that claims 60000 by 60000", bmp[:18] + struct.pack("<ii", 60000, 60000) + bmp[26:]
    yield "BMP of negative width", bmp[:18] + struct.pack("<ii", -37, 23) + bmp[26:]
    yield "PPM that claims 99999 by 99999", b"P6 99999 99999 255\n" + bytes(100)
    yield "PGM with a number of a megabyte", b"P5 " + b"9" * (1 << 20) + b" 1 255\n"
    yield (
        "XBM that claims 99999 by 99999",
        b"#define w_width 99999\n#define w_height 99999\n" + (b"static char w_bits[] = { 0x00 };"),
    )
    yield "QOI that claims 99999 by 99999", b"qoif" + struct.pack(">IIBB", 99999, 99999, 3, 0)
    tga = save(photo(), "TGA") or b""
    yield "TGA that claims 65535 by 65535", tga[:12] + b"\xff\xff\xff\xff" + tga[16:]
    psd = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3)
    yield "PSD that claims 30000 by 30000", psd + bytes(64)
    loop = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", 0) + struct.pack("<I", 8)
    yield "TIFF whose directory follows itself", loop


class _Touch:
    """What a pickle would do to whoever opens it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def disguised(folder: Path, trap: Path) -> Iterator[Case]:
    """Write files that are called images and are none, and return their paths.

    Whoever runs what they hold makes ``trap``, a folder.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../evil.png", save(photo(), "PNG") or b"")
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&x;</text></svg>'
    )
    for name, data in {
        "empty": b"",
        "zero": b"\0",
        "text": b"not an image\n" * 20,
        "html": b"<!doctype html><title>404</title>",
        "json": b'{"error": "not found"}',
        "svg": svg.encode(),
        "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "zip": packed.getvalue(),
        "gzip": gzip.compress(save(photo(), "PNG") or b""),
        "pickle": pickle.dumps(_Touch(str(trap))),
        "elf": b"\x7fELF\2\1\1" + bytes(64),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
        + f"({trap}) (w) file pop\nshowpage\n".encode(),
        "python": f"import os; os.mkdir({str(trap)!r})".encode(),
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    }.items():
        path = folder / f"{name}.png"
        path.write_bytes(data)
        yield f"{name} named .png", str(path)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    with open(folder / "sparse.png", "wb") as file:
        file.write(save(photo(), "PNG") or b"")
        file.truncate(1 << 40)
    for name in ("sparse", "loop", "dangling", "folder", "pipe", "missing"):
        yield f"a path to a {name}", folder / f"{name}.png"
    for path in ("/dev/zero", "/dev/stdin", "/proc/self/mem", "~/no.png", "a\0b.png", "\udcff.png"):
        yield f"the path {path!r}", path
    for path in ("", ".", "..", "/", "x" * 5000, "http://localhost/a.png", "file:///etc/passwd"):
        yield f"the path {path[:30]!r}", path


def no_images() -> Iterator[Case]:
    """Yield objects that are no images, and arrays of shapes that no image has."""
    for thing in (None, float("nan"), np.nan, 3, 1.5, True, object(), {}, {"a": 1}, set(), print):
        yield f"{thing!r:.30}", thing
    for shape in ((), (0,), (4,), (0, 4), (4, 0, 3), (4, 4, 2), (4, 4, 5), (1, 4, 4, 3), (3, 4, 3)):
        yield f"zeros of {shape}", np.zeros(shape, np.uint8)
    for dtype in ("int64", "complex64", "datetime64[s]", "U3", "object", "S2"):
        yield f"an array of {dtype}", np.zeros((4, 4), dtype)
    for value in (np.nan, np.inf, -1.0, 1.5, 1e300):
        yield f"floats of {value}", np.full((4, 4), value)
    yield "a ragged list", [[1, 2], [3]]
    yield "a closed PIL image", _closed()


def _closed() -> Image.Image:
    image = Image.open(io.BytesIO(save(photo(), "PNG") or b""))
    image.close()
    return image


def installed() -> Iterator[Case]:
    """Yield the paths of the pictures that installed packages carry."""
    import importlib.util

    for package in ("skimage", "sklearn", "matplotlib", "imageio", "sphinx"):
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            continue
        for path in sorted(Path(found.origin).parent.rglob("*")):
            if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".svg"}:
                yield f"{package}/{path.name}", str(path)


def all_made(folder: Path, trap: Path, seed: int = 0) -> list[Case]:
    """List everything that this module makes."""
    makers = (written(seed), turned(seed), shaped(seed), spoiled(seed), bombs(), no_images())
    return [case for cases in makers for case in cases] + list(disguised(folder, trap))
