"""A log for all processes of a run, before the network that writes to it is imported."""

from __future__ import annotations

import os
import tempfile

import pytest

os.environ.setdefault("SKLEARN_PRETRAINED_TEST_LOG", tempfile.mkdtemp(prefix="engines-"))


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_noted() -> None:
    from tests.engines.things import clear_log

    clear_log()
