"""X of texts, in any container → items whose content is a text, or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..exceptions import BadItemError
from . import _digest
from ._columns import Column, column, is_missing
from ._held import Held
from ._items import Items

Text = str | tuple[str, str]
_PAIR = 2


class Texts(Items):
    """Texts, or pairs of texts.

    Parameters
    ----------
    sources : Column
    """

    at_once = 1 << 14

    def __init__(self, sources: Column) -> None:
        self._sources = sources
        self._digests: dict[int, bytes] = {}
        self._held = Held()

    def __len__(self) -> int:
        return len(self._sources)

    def digest(self, i: int) -> bytes:
        """Hash the UTF-8 form."""
        text = self._read(i)
        digest = _digest.of_text(text)
        if self._sources.made_anew:
            self._digests[i] = digest
            self._held.put(i, text, len(text if isinstance(text, str) else text[0] + text[1]))
        return digest

    def load(self, i: int) -> Text:
        """Return one text as a plain `str`, or a pair of them."""
        held = self._held.take(i)
        if held is not None:
            return held
        text = self._read(i)
        if i in self._digests and self._digests[i] != _digest.of_text(text):
            raise BadItemError(
                "changed while it was being read; a dataset must return the same item each time "
                "(no random augmentation)"
            )
        return text

    def _read(self, i: int) -> Text:
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

    def let_go(self) -> None:
        """Forget what a dataset made for a window, which is over."""
        self._held.clear()
        self._digests.clear()


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
