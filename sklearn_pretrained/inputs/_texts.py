"""X of texts, in any container → items whose content is a text, or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..exceptions import BadItemError
from . import _digest
from ._columns import column, is_missing
from ._items import Items

Text = str | tuple[str, str]
_PAIR = 2


class Texts(Items):
    """Texts, or pairs of texts."""

    at_once = 1 << 14

    def __init__(self, sources: Sequence[Any]) -> None:
        self._sources = sources

    def __len__(self) -> int:
        return len(self._sources)

    def digest(self, i: int) -> bytes:
        """Hash the UTF-8 form."""
        return _digest.of_text(self.load(i))

    def load(self, i: int) -> Text:
        """Return one text as a plain `str`, or a pair of them."""
        source = self._sources[i]
        if isinstance(source, str):
            # The text itself, also of a member of an enumeration.
            return _whole(str.__str__(source))
        if is_missing(source):
            raise BadItemError("is missing")
        if isinstance(source, bytes):
            raise BadItemError("is bytes; decode it first, as text.decode('utf-8')")
        if isinstance(source, tuple):
            return self._pair(source)
        if isinstance(source, Sequence):
            raise BadItemError(
                f"is a {type(source).__name__} of {len(source)}; a text is a str, and a pair of "
                "texts a tuple of two: [(first, second), ...], from two columns with "
                "list(zip(X['first'], X['second']))"
            )
        raise BadItemError(f"is of type {type(source).__name__}; a text is a str")

    @staticmethod
    def _pair(source: tuple[Any, ...]) -> Text:
        if len(source) == _PAIR and all(isinstance(part, str) for part in source):
            return _whole(str.__str__(source[0])), _whole(str.__str__(source[1]))
        if any(is_missing(part) for part in source):
            raise BadItemError("is a pair with a missing text")
        raise BadItemError(
            "is a tuple, but not of two texts; a pair of texts is a tuple of two str"
        )


def _whole(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadItemError(
            f"contains a lone surrogate (U+{ord(text[error.start]):04X} at position "
            f"{error.start}), which is not valid text; decode its source with the right "
            "encoding, or repair it with text.encode('utf-8', 'replace').decode()"
        ) from error
    return text


def read_texts(X: Any) -> Texts:
    """Read texts of any container.

    Parameters
    ----------
    X : array-like of str or of (str, str)

    Returns
    -------
    Texts
    """
    return Texts(column(X, what="texts"))
