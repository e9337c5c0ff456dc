"""A network → the same, loaded, made fast and tried, so that no request waits for that."""

from __future__ import annotations

from collections.abc import Sequence

from ..backbones import Backbone
from ._reading import Reading
from ._runner import Runner
from ._steady import check_steady

_RUNS = 5
"""After so many runs of one shape, weights are laid out for it."""


def warm_up(runners: Sequence[Runner], backbone: Backbone, reading: Reading) -> None:
    """Make networks fast, and run each over a sample of the backbone's, if it has one.

    Parameters
    ----------
    runners, backbone, reading
        What computes, what prepares, and what is read.
    """
    samples = backbone.example()
    for runner in runners:
        runner.make_fast()
        if not samples:
            continue
        runner.expect(len(samples))
        batch = samples[:2]
        check_steady(runner, reading, batch, lambda: reading.rows(runner, batch).here())  # noqa: B023
        for _ in range(_RUNS):
            reading.rows(runner, samples[:1]).here()
