"""Items → what is made of each, or an error that names the first that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..exceptions import BadItemError
from ..inputs import Items


def each(items: Items, one: Callable[[Any], Any]) -> list[Any]:
    """Prepare every item.

    Parameters
    ----------
    items : Items
    one : callable
        Content → sample.
    """
    made = []
    for i in range(len(items)):
        try:
            made.append(one(items.load(i)))
        except BadItemError as error:
            raise BadItemError(f"{items.name(i)} {error}. Remove it.") from error
    items.let_go()
    return made
