"""A recipe and the versions of today → the name that its rows have in a file that outlives them.

A file may hold rows that other versions of timm, torchvision or transformers computed. The canary
tells whether they are those of today: it is kept in the file with the recipe, and compared once for
each set of versions. Where it moved, rows get another name, so that no request mixes the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..exceptions import CacheWarning
from ..process import warn
from ..recipe import fingerprint
from ._canary import compare
from ._provenance import differences

if TYPE_CHECKING:
    from ..cache import Cache

Sketches = Mapping[str, str]


def name_in(
    cache: Cache,
    recipe: str,
    versions: Mapping[str, str],
    dtype: str,
    sketch: Callable[[Sequence[str] | None], Sketches | None],
) -> tuple[str, Sketches]:
    """Find the name of a recipe's rows in a cache, and the canary that was kept with them.

    Parameters
    ----------
    cache : Cache
    recipe : str
    versions : dict of str to str
        Of all libraries that make a row.
    dtype : str
    sketch : callable
        Computes the canary, of outputs that are named or of those that a request keeps; None
        where the network has no canary. It is called only for versions that the cache does not
        know yet.
    """
    ours = f"rows of {fingerprint(versions)}"
    settled = cache.recall(recipe, ours)
    if settled is not None:
        return settled.decode(), _kept(cache, settled.decode())
    name = recipe
    while then := _kept(cache, name):
        now = sketch(list(then))
        if now is not None and now.keys() >= then.keys():
            pairs = tuple(then.values()), tuple(now[one] for one in then)
            if compare(*pairs, dtype) is None:
                break
        before = json.loads(cache.recall(name, "versions") or b"{}")
        name = fingerprint({"in place of": name, **({} if now else versions)})
        if now is not None:
            _tell(before)
    else:
        # The first to come: nothing is known of how its rows were computed.
        first = sketch(None)
        if not first:
            name = fingerprint({"recipe": name, **versions})
        cache.remember(name, "canary", json.dumps(first or {}).encode())
        cache.remember(name, "versions", json.dumps(versions).encode())
    return cache.remember(recipe, ours, name.encode()).decode(), _kept(cache, name)


def _kept(cache: Cache, name: str) -> Sketches:
    return json.loads(cache.recall(name, "canary") or b"{}")


def _tell(before: Mapping[str, str]) -> None:
    warn(
        "The cache holds rows computed with other library versions, and current rows differ from "
        f"them, as the canary (a fixed item) shows. {differences(before)} Rows are computed again "
        "and stored in addition to the old ones.",
        CacheWarning,
    )
