"""Images of many kinds, good and broken, all made from a seed."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

FORMATS = [
    "PNG",
    "JPEG",
    "GIF",
    "BMP",
    "TIFF",
    "WEBP",
    "PPM",
    "ICO",
    "TGA",
    "PCX",
    "SGI",
    "JPEG2000",
]


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Write an image in a format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(seed: int = 0, size: tuple[int, int] = (37, 23)) -> Image.Image:
    """Make a smooth coloured picture."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def broken(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield files cut short, with bytes changed, or that never were images."""
    rng = np.random.default_rng(seed)
    for kind in FORMATS:
        whole = encode(photo(seed), kind)
        for cut in np.linspace(0, len(whole) - 1, 16).astype(int):
            yield f"{kind} cut at {cut}", whole[:cut]
        for n in range(24):
            spoiled = bytearray(whole)
            # Headers first: that is where sizes and lengths stand.
            limit = 64 if n % 2 else len(spoiled)
            for place in rng.integers(0, min(limit, len(spoiled)), 1 + n // 4):
                spoiled[place] = rng.integers(0, 256)
            yield f"{kind} spoiled {n}", bytes(spoiled)
        yield f"{kind} twice", whole + whole
        yield f"{kind} of zeros behind its header", whole[:24] + bytes(len(whole))
    for n in range(24):
        yield f"noise {n}", rng.bytes(int(rng.integers(1, 400)))
    yield "nothing", b""
    yield "text", b"not an image\n" * 20
    yield "html", b"<!doctype html><title>404</title>"
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    yield "pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    yield "zip", b"PK\x03\x04" + bytes(60)


def bomb() -> bytes:
    """Make a small file that claims to hold 40,000 × 40,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10_000)))
        + chunk(b"IEND", b"")
    )
