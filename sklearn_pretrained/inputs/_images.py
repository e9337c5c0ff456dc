"""X of images, in any form → items whose content is uint8 RGB pixels (H, W, 3)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import BadItemError
from . import _known_contents, _known_files
from ._arrays import to_pixels
from ._columns import Column, column, naming_the_row
from ._contents import content, is_native, is_tensor, path_of, to_array
from ._held import Held
from ._items import Items

_LONGEST_NAME = 120
_MANY = 16
"""Images from which on an X may be that of a search, which comes again."""
_SEEN = "pixels"  # as a person sees them, in 8 bits


class Images(Items):
    """Images as they came: paths, bytes, PIL images, arrays and tensors, also mixed.

    Parameters
    ----------
    sources : Column
    value_range : tuple of float, optional
        What black and white are in numeric images.
    """

    at_once = 1 << 10

    def __init__(self, sources: Column, value_range: tuple[float, float] | None = None) -> None:
        self._sources = sources
        self._range = value_range
        self._pixels = f"pixels:{value_range}"
        # A service's few images come once, and wait for nothing that pays later.
        self._many = len(sources) >= _MANY
        self._digests: dict[int, bytes] = {}
        self._held = Held()

    def __len__(self) -> int:
        return len(self._sources)

    def digest(self, i: int) -> bytes:
        """Hash file bytes or pixels, without decoding any file."""
        source = self._sources[i]
        if type(source) is np.ndarray and is_native(source) and not self._sources.made_anew:
            # What comes most often is told soonest.
            return _known_contents.digest_of(source, self._pixels, again=self._many)
        with naming_the_row("read"):
            place = self._place(source)
        digest = _known_files.known(place)
        if digest is not None:
            self._digests[i] = digest
            return digest
        kind, data = self._read(source)
        digest = self._hash(kind, data)
        _known_files.remember(place, digest)
        if self._sources.made_anew or not isinstance(data, np.ndarray):
            self._digests[i] = digest
        if self._sources.made_anew or kind.startswith("file"):
            self._held.put(i, (kind, data), memoryview(data).nbytes)
        return digest

    def known(self, window: range) -> Sequence[bytes | None]:
        """Compare arrays that came before, in one go."""
        if not self._many or self._sources.held is None:
            return super().known(window)
        held = self._sources.held[window.start : window.stop]
        return _known_contents.copies.find_all(held, self._pixels)

    def load(self, i: int) -> NDArray[np.uint8]:
        """Return the pixels as a person sees them, (H, W, 3)."""
        held = self._held.take(i)
        kind, data = held or self._source(i)
        if not held and i in self._digests and self._digests[i] != self._hash(kind, data):
            raise BadItemError(
                "changed while it was being read; files must not change, and a dataset must return "
                "the same item each time (no random augmentation)"
            )
        if kind == _SEEN:
            return data
        if isinstance(data, np.ndarray):
            return to_pixels(data, self._range)
        from ._decode import decode

        return decode(data, self._range)

    def file(self, i: int) -> bytes | None:
        """Return the bytes of its file, where it is one."""
        kind, data = self._source(i)
        return bytes(data) if kind.startswith("file") else None

    def let_go(self) -> None:
        """Forget the files of a window, which is over."""
        self._held.clear()
        self._digests.clear()

    def name(self, i: int) -> str:
        """Say which item, and its path where it has one."""
        try:
            path = path_of(self._sources[i])
        except Exception:
            path = None  # what is odd enough to have no name has a place
        if path is None:
            return super().name(i)
        short = path if len(path) <= _LONGEST_NAME else f"…{path[-_LONGEST_NAME:]}"
        return f"Item {i} of X ({short!r})"

    def _place(self, source: Any) -> bytes | None:
        """Return what stands for a file as it is now; None for what is none."""
        if isinstance(source, np.ndarray):
            return None
        return _known_files.place_of(source, f"file:{self._range}{_how_files_are_read()}")

    def _hash(self, kind: str, data: Any) -> bytes:
        return _known_contents.digest_of(data, kind, again=self._many)

    def _source(self, i: int) -> tuple[str, Any]:
        return self._read(self._sources[i])

    def _read(self, source: Any) -> tuple[str, Any]:
        """Return what an item is, and its numbers or the bytes of its file."""
        with naming_the_row("read"):
            item = content(source)
        # value_range decides how numbers are read, and files of more than 8 bits.
        if isinstance(item, np.ndarray):
            return self._pixels, item
        if isinstance(item, bytes | memoryview):
            return f"file:{self._range}{_how_files_are_read()}", item
        from ._decode import upright

        return _SEEN, upright(item, self._range)


def _how_files_are_read() -> str:
    """Say what decides the pixels of a file besides its bytes, where it is not Pillow's default."""
    pillow = sys.modules.get("PIL.ImageFile")  # who sets it has imported it
    return ":cut" if getattr(pillow, "LOAD_TRUNCATED_IMAGES", False) else ""


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
        return Images(Column(_unflatten(X, image_shape)), limits)
    if hasattr(X, "getexif"):
        raise ValueError(
            "Iterable over images expected, a single PIL image received. For one item, pass a "
            "list of length one: [X]."
        )
    if is_tensor(X):
        try:
            X = to_array(X)
        except BadItemError as error:
            raise ValueError(f"X {error}.") from error
    if isinstance(X, np.ndarray) and X.dtype.kind in "buifc":
        _check_batch(X.shape)
    return Images(column(X, what="images"), limits)


def keep_whole_numbers(rows: NDArray[Any], X: Any) -> NDArray[Any]:
    """Refuse floats that scikit-learn has made of whole numbers, whose range is another one."""
    dtypes = getattr(X, "dtypes", [getattr(X, "dtype", None)])
    kinds = {str(dtype) for dtype in dtypes}
    if rows.dtype.kind == "f" and not all("float" in kind.lower() for kind in kinds - {"None"}):
        raise ValueError(
            f"X holds {', '.join(sorted(kinds))} numbers, whose range is not known; pass "
            "value_range=(low, high), the values of black and white in all of X."
        )
    return rows


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
        raise ValueError(
            f"image_shape requires a table of flattened images, got shape {array.shape}."
        )
    if array.shape[1] != np.prod(shape):
        raise ValueError(
            f"image_shape={shape} requires {int(np.prod(shape))} values, but the rows of X have "
            f"{array.shape[1]}."
        )
    return array.reshape(len(array), *shape)
