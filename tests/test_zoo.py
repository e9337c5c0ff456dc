"""Every torchvision classifier gives the features that torchvision's own extractor gives."""

from __future__ import annotations

import time

import pytest

from sklearn_pretrained import list_backbones, list_layers
from sklearn_pretrained.layers import _planning
from tests import zoo


def test_all_of_torchvisions_classifiers_are_there():
    """Eighty of them, and more when torchvision has more."""
    assert len(zoo.names()) >= 80
    assert set(zoo.names()) <= set(list_backbones())


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.moderate())
def test_layers_equal_torchvisions_own(name):
    """At five places: the same activation, pooled over the same axes, to 1e-5 relative.

    The few that cost minutes are in the table that ``python -m tests.zoo`` prints.
    """
    rows = zoo.compare(name)

    assert len(rows) >= 5
    for row in rows:
        assert row.error <= zoo.TOLERANCE, row


def test_planning_takes_no_weights_and_little_time():
    """A deep network's table, twice as fast as a person notices on a quiet machine."""
    _planning._plans.clear()
    started = time.process_time()
    table = list_layers("resnet152")

    assert len(table) == 7
    assert time.process_time() - started < 10
