"""What can go wrong around a featurizer goes wrong, for real, and ends as the table says."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("resource", reason="Windows has no limits, signals and forks of this kind")

from tests import faults

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits and forks are those of Linux"),
    pytest.mark.slow,
]


@pytest.mark.parametrize("one", faults.FAULTS, ids=lambda one: one.name)
def test_every_fault_ends_as_expected(one, tmp_path):
    """The table of ``python -m tests.faults`` is green."""
    assert one.make(tmp_path)
