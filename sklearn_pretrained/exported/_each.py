"""Items → what is made of each, or an error that names the first that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..exceptions import BadItemError
from ..inputs import Items, OutsideRangeError


def each(items: Items, one: Callable[[Any], Any], reads: str = "") -> list[Any]:
    """Prepare every item.

    Parameters
    ----------
    items : Items
    one : callable
        Content → sample.
    reads : str
        Which numbers the file reads, for images that hold others.
    """
    made = []
    for i in range(len(items)):
        try:
            made.append(one(items.load(i)))
        except OutsideRangeError as error:
            raise BadItemError(f"{items.name(i)} {error.what}. {reads}") from error
        except BadItemError as error:
            raise BadItemError(f"{items.name(i)} {error}. Remove it.") from error
    items.let_go()
    return made
