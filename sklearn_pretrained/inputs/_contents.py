"""One image of any kind → an array, the bytes of a file, or a PIL image."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError
from ._columns import is_missing

# More than Pillow's own limit on pixels takes without compression.
_LARGEST_FILE = 1 << 30
_CELL = {"bytes", "path"}
_NUMBERS = "buif"


def content(item: Any) -> Any:
    """Bring an item into one of three forms: array, bytes, PIL image."""
    for is_of_the_kind, read in _KINDS:
        if is_of_the_kind(item):
            return read(item)
    raise BadItemError(
        f"is of type {type(item).__name__}; an image is a path, bytes, a file object, a PIL image, "
        "an array or a tensor"
    )


def path_of(item: Any) -> str | None:
    """Find the path that an item names, or None."""
    if isinstance(item, Mapping):
        return path_of(item.get("path"))
    if isinstance(item, tuple) and item:
        return path_of(item[0])
    if _is_path(item):
        path = os.fspath(item)
    else:
        path = getattr(item, "name", None) if hasattr(item, "read") else None
    # A member of a str enum is its value, which str() does not give.
    return str.__str__(path) if isinstance(path, str) else None


def is_native(array: NDArray[Any]) -> bool:
    """Tell an array of numbers that is read as it is."""
    return array.dtype.kind in _NUMBERS and array.dtype.isnative


def is_tensor(item: Any) -> bool:
    """Tell a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(item, torch.Tensor)


def to_array(tensor: Any) -> NDArray[Any]:
    """Turn a torch tensor into an array."""
    try:
        dense = tensor.detach().cpu().resolve_conj().resolve_neg()
        return (dense.float() if str(dense.dtype) == "torch.bfloat16" else dense).numpy()
    except Exception as error:
        raise BadItemError(
            f"is a tensor that cannot be read as an array ({tensor.dtype}, {tensor.layout}, on "
            f"{tensor.device}); make it a dense one of floats or uint8"
        ) from error


def read_file(path: str) -> bytes:
    """Read a regular file; what else lies at a path (folders, pipes, devices) is not opened."""
    if path.startswith(("http://", "https://", "s3://", "gs://", "ftp://")):
        raise BadItemError("is a URL; download the file first, and pass its path")
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            what = "folder" if stat.S_ISDIR(found.st_mode) else "device or pipe"
            raise BadItemError(f"is a {what}, not a file")
        _check_size(found.st_size)
        with open(path, "rb") as file:
            return file.read()
    except BadItemError:
        raise
    except FileNotFoundError:
        raise BadItemError("does not exist") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadItemError(f"could not be opened: {reason}") from None


def _check_size(size: int) -> None:
    if size > _LARGEST_FILE:
        raise BadItemError(
            f"is a file of {size >> 20} MiB, too large to be read safely; shrink it first, or "
            "pass its pixels"
        )


def _is_path(item: Any) -> bool:
    return isinstance(item, str) or hasattr(item, "__fspath__")


def _from_path(item: Any) -> bytes:
    path = path_of(item)
    if path is None:
        raise BadItemError("is a path of bytes; pass it as text, os.fsdecode(path)")
    return read_file(path)


def _from_bytes(item: Any) -> Any:
    if isinstance(item, bytes):
        return item
    view = memoryview(item)
    return view.cast("B") if view.c_contiguous else view.tobytes()


def _from_stream(file: Any) -> bytes:
    """Read a file object from its start, as Pillow does, and leave it where it was."""
    if hasattr(file, "getvalue"):  # of BytesIO, which several threads may ask at once
        data = file.getvalue()
    else:
        try:
            place = file.tell()
            file.seek(0, os.SEEK_END)
        except (AttributeError, OSError) as error:
            raise BadItemError(
                "is a stream that can only be read once; pass its bytes: file.read()"
            ) from error
        try:
            size = file.tell()
            _check_size(size)
            file.seek(0)
            data = file.read(size)
        finally:
            file.seek(place)
    if not isinstance(data, bytes):
        raise BadItemError("is a file opened in text mode; open it with mode 'rb'")
    return data


def _from_array(array: Any) -> NDArray[Any]:
    array = array if isinstance(array, np.ndarray) else np.asarray(array)
    if isinstance(array, np.ma.MaskedArray):
        raise BadItemError(
            "is a masked array, whose masked pixels have no colour; fill them: array.filled(value)"
        )
    if array.dtype.kind not in _NUMBERS:
        raise BadItemError(f"is an array of {array.dtype}, which is not an image")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _from_cell(cell: Any) -> Any:
    """Read a cell as Hugging Face datasets keep images: the bytes, or else the path."""
    if not set(cell) <= _CELL:
        raise BadItemError(
            f"is a {type(cell).__name__} with the keys {', '.join(map(repr, list(cell)[:5]))}; "
            "pass the image under one of them"
        )
    data = cell.get("bytes")
    return content(cell.get("path") if data is None else data)


def _from_sequence(source: Any) -> Any:
    """Read nested lists of numbers, or the first of what a dataset gives: (image, label)."""
    if isinstance(source, tuple) and source and _may_be_image(source[0]):
        others = [other for other in source[1:] if _may_be_image(other)]
        if not others:
            return content(source[0])
        if not isinstance(source[0], np.ndarray):
            raise BadItemError(
                "is a tuple in which more than one element may be the image; pass only the image"
            )
    try:
        return _from_array(np.asarray(source))
    except ValueError as error:
        if isinstance(error, BadItemError):
            raise
        raise BadItemError(
            f"is a {type(source).__name__} that cannot be converted to an array: {error}"
        ) from error


def _may_be_image(thing: Any) -> bool:
    if isinstance(thing, np.ndarray) or is_tensor(thing):
        return thing.ndim > 1
    return _is_path(thing) or any(is_of_the_kind(thing) for is_of_the_kind in (_BYTES, _PIL, _READ))


def _missing(_: Any) -> Any:
    raise BadItemError("is missing")


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda item: isinstance(item, kinds)


def _has(name: str) -> Callable[[Any], bool]:
    return lambda item: hasattr(item, name)


_BYTES, _PIL, _READ = _is(bytes, bytearray, memoryview), _has("getexif"), _has("read")
# The first that fits.
_KINDS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (_is(np.ndarray), _from_array),
    (_BYTES, _from_bytes),
    (_is_path, _from_path),
    (is_tensor, lambda tensor: _from_array(to_array(tensor))),
    (is_missing, _missing),
    (_PIL, lambda image: image),
    (_READ, _from_stream),
    (_is(Mapping), _from_cell),
    (_is(list, tuple), _from_sequence),
    (_has("__array__"), _from_array),
)
