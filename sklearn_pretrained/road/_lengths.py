"""Texts, and a road to rows of tokens → a road for each length, whose rows have one shape."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .._outputs import Output
from ..exceptions import BadItemError
from ..inputs import Items, Some
from ._road import Road

_AT_ONCE = 1024


def by_length(items: Items, road: Road) -> Iterator[tuple[list[int], Some, Road]]:
    """Yield positions of texts of one length, these texts, and the road to their rows.

    Records of tokens of one length are as wide as each other, so that every cache keeps them as it
    does any row. The canary has a length of its own, and is left to the roads that pool.
    """
    lengths = lengths_of(items, road)
    groups: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        # What cannot be read is met again on the road, which says so.
        groups.setdefault(length or max(lengths, default=0) or 1, []).append(i)
    for length, positions in sorted(groups.items()):
        outputs = [_of_length(output, length) for output in road.outputs]
        is_pooled = all(pooling != "none" for _, pooling in outputs)
        detour = road.detour
        if detour is not None:
            detour = replace(detour, start=_of_length(detour.start, length))
        way = replace(
            road,
            outputs=outputs,
            kept=road.kept if is_pooled else outputs,
            canary=road.canary if is_pooled else None,
            detour=detour,
        )
        yield positions, Some(items, positions), way


def _of_length(output: Output, length: int) -> Output:
    layer, pooling = output
    if pooling != "none":
        return output
    return replace(layer, name=f"{layer.name}[{length}]", shape=(length, *layer.shape[1:])), pooling


def lengths_of(items: Items, road: Road) -> list[int]:
    """Count the tokens of each text; 0 for one that cannot be read."""
    # A copy: what a backbone counts, such as texts that were cut, it counts on the road.
    backbone: Any = copy.copy(road.backbone)
    found: list[int] = []
    for start in range(0, len(items), _AT_ONCE):
        texts: dict[int, Any] = {}
        for i in range(start, min(start + _AT_ONCE, len(items))):
            found.append(0)
            with contextlib.suppress(BadItemError):
                items.digest(i)
                texts[i] = items.load(i)
        samples = backbone.prepare(list(texts.values()))
        for i, sample in zip(texts, samples, strict=True):
            if not isinstance(sample, BadItemError):
                found[i] = len(sample["input_ids"])
    return found
