"""X of images, in any form → items whose content is uint8 RGB pixels (H, W, 3)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError
from . import _digest
from ._arrays import to_pixels
from ._columns import is_missing, is_tensor, to_array, to_list

_LONGEST_NAME = 120
# More than Pillow's own limit on pixels takes without compression.
_LARGEST_FILE = 1 << 30


class Images:
    """Images as they came: paths, bytes, PIL images, arrays and tensors, also mixed.

    Parameters
    ----------
    sources : sequence
    value_range : tuple of float, optional
        What black and white are in numeric images.
    """

    def __init__(
        self, sources: Sequence[Any], value_range: tuple[float, float] | None = None
    ) -> None:
        self._sources = sources
        self._range = value_range
        self._digests: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def digest(self, i: int) -> bytes:
        """Hash file bytes or pixels, without decoding any file."""
        source = self._source(i)
        if isinstance(source, np.ndarray):
            if source.dtype.kind not in "buif":
                raise BadItemError(f"is an array of {source.dtype}, which is no image")
            return _digest.of_array(source, f"pixels:{self._range}")
        if isinstance(source, bytes | memoryview):
            # value_range decides how files of more than 8 bits are read.
            self._digests[i] = _digest.of_bytes(source, f"file:{self._range}")
            return self._digests[i]
        return _digest.of_array(self._upright(source), "pixels")

    def load(self, i: int) -> NDArray[np.uint8]:
        """Return the pixels as a person sees them, (H, W, 3)."""
        source = self._source(i)
        if isinstance(source, np.ndarray):
            return to_pixels(source, self._range)
        if isinstance(source, bytes | memoryview):
            from ._decode import decode

            known = self._digests.get(i)
            if known is not None and known != _digest.of_bytes(source, f"file:{self._range}"):
                raise BadItemError("changed while it was being read")
            return decode(source, self._range)
        return self._upright(source)

    def name(self, i: int) -> str:
        """Say which item, and its path where it has one."""
        source = self._sources[i]
        if isinstance(source, str) or hasattr(source, "__fspath__"):
            path = os.fspath(source)
            short = path if len(path) <= _LONGEST_NAME else f"…{path[-_LONGEST_NAME:]}"
            return f"Item {i} of X ({short!r})"
        return f"Item {i} of X"

    def _upright(self, image: Any) -> NDArray[np.uint8]:
        from ._decode import upright

        return upright(image, self._range)

    def _source(self, i: int) -> Any:
        """Return an item as an array, as the bytes of a file, or as a PIL image."""
        source = self._sources[i]
        if isinstance(source, np.ndarray):
            return source
        if isinstance(source, bytes | bytearray | memoryview):
            return memoryview(source) if isinstance(source, bytearray) else source
        if isinstance(source, str) or hasattr(source, "__fspath__"):
            return read_file(os.fspath(source))
        if is_tensor(source):
            return to_array(source)
        if is_missing(source):
            raise BadItemError("is missing")
        if hasattr(source, "getexif"):  # what makes a PIL image one
            return source
        if isinstance(source, list | tuple):
            return _nested(source)
        raise BadItemError(
            f"is a {type(source).__name__}; an image is a path, bytes, a PIL image, an array or "
            "a tensor"
        )


def _nested(source: Any) -> NDArray[Any]:
    try:
        return np.asarray(source)
    except ValueError as error:
        raise BadItemError(f"is a {type(source).__name__} that makes no array: {error}") from error


def read_file(path: str) -> bytes:
    """Read a regular file; what else lies at a path (folders, pipes, devices) is not opened."""
    if path.startswith(("http://", "https://", "s3://", "gs://", "ftp://")):
        raise BadItemError("is an address on a network; download it first, and pass its path")
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            what = "folder" if stat.S_ISDIR(found.st_mode) else "device or pipe"
            raise BadItemError(f"is a {what}, not a file")
        if found.st_size > _LARGEST_FILE:
            raise BadItemError(
                f"is a file of {found.st_size >> 20} MiB, too large to be read safely; shrink it "
                "first, or pass its pixels"
            )
        with open(path, "rb") as file:
            return file.read()
    except BadItemError:
        raise
    except FileNotFoundError as error:
        raise BadItemError("does not exist") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadItemError(f"could not be opened: {reason}") from error


def read_images(
    X: Any,
    *,
    image_shape: Sequence[int] | None = None,
    value_range: Sequence[float] | None = None,
) -> Images:
    """Read images of any kind.

    Parameters
    ----------
    X : array-like
        A list, tuple, array or column of images. The first axis of an array is always the items:
        (N, H, W) are N grey images.
    image_shape : sequence of int, optional
        Shape of one image, where X is a table of flattened ones.
    value_range : sequence of two floats, optional
        What black and white are in numeric images.

    Returns
    -------
    Images
    """
    limits = None if value_range is None else _limits(value_range)
    if image_shape is not None:
        return Images(list(_unflatten(X, image_shape)), limits)
    if hasattr(X, "getexif"):
        raise ValueError(
            "Iterable over images expected, a single PIL image received. For one item, pass a "
            "list of length one: [X]."
        )
    if is_tensor(X):
        X = to_array(X)
    if isinstance(X, np.ndarray) and X.dtype.kind in "buifc":
        _check_batch(X.shape)
    return Images(to_list(X, what="images"), limits)


def _check_batch(shape: tuple[int, ...]) -> None:
    if len(shape) == 2:  # noqa: PLR2004
        raise ValueError(
            f"X is a table of shape {shape}. If each row is a flattened image, pass image_shape, "
            "such as image_shape=(8, 8); if X is one image, pass [X]."
        )
    if len(shape) not in {3, 4}:
        raise ValueError(
            f"X has shape {shape}; images in one array have shape (N, H, W), (N, H, W, C) or "
            "(N, C, H, W)."
        )
    if len(shape) == 3 and shape[2] in {3, 4}:  # noqa: PLR2004
        raise ValueError(
            f"X has shape {shape}, which looks like one image (H, W, C). Pass [X] for one image; "
            "N grey images in one array have shape (N, H, W)."
        )


def _limits(value_range: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(limit) for limit in value_range)
    except (TypeError, ValueError) as error:
        raise ValueError(f"value_range must be (low, high), got {value_range!r}.") from error
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"value_range must be (low, high) with low < high, got {value_range!r}.")
    return low, high


def _unflatten(X: Any, image_shape: Sequence[int]) -> NDArray[Any]:
    shape = tuple(int(size) for size in image_shape)
    if len(shape) not in {2, 3} or min(shape) < 1:
        raise ValueError(
            f"image_shape must be (height, width) or three positive sizes, got {image_shape!r}."
        )
    array = np.asarray(X)
    if array.ndim != 2:  # noqa: PLR2004
        raise ValueError(f"image_shape goes with a table of flattened images, got {array.shape}.")
    if array.shape[1] != np.prod(shape):
        raise ValueError(
            f"image_shape={shape} makes {int(np.prod(shape))} values, but the rows of X have "
            f"{array.shape[1]}."
        )
    return array.reshape(len(array), *shape)
