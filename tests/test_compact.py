"""Many small files of a shared cache become few, whoever reads, writes or is killed meanwhile."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time

import pytest

from sklearn_pretrained import SharedFeatureCache
from sklearn_pretrained.cache.segments import SegmentStore, _compact
from tests.test_command import run
from tests.test_segments import BUNDLE, known, put


class Killed(BaseException):
    """Ends everything, as a signal does."""


@pytest.fixture
def cache(tmp_path):
    cache = SharedFeatureCache(tmp_path / "features")
    for i in range(0, 12, 2):
        put(cache._store, i, i + 1)
    return cache


def test_it_may_be_killed_before_and_after_each_step(cache, tmp_path, monkeypatch):
    """All rows are there then, for who reads and for who merges again."""
    location = cache._store.location
    whole = {verb: getattr(location, verb) for verb in ("put", "remove")}
    for last in itertools.count():
        steps = itertools.count()

        def dying(*given, verb, steps=steps, last=last):
            if next(steps) == last:
                raise Killed
            whole[verb](*given)
            if next(steps) == last:
                raise Killed

        for verb in whole:
            monkeypatch.setattr(
                location, verb, lambda *given, verb=verb, dying=dying: dying(*given, verb=verb)
            )
        try:
            cache.compact()
        except Killed:
            fresh = SegmentStore(location.path)
            fresh.refresh()
            assert known(fresh, 12) == list(range(12))
            put(cache._store, last % 12)  # so that there is something to merge again
            continue
        break

    assert last > 10
    assert cache.stats()["files"] == 1
    assert cache.stats()["rows"] == 12


def test_two_that_merge_at_once_lose_nothing(cache, monkeypatch):
    """The second reads what the first removes, whenever that is."""
    other = SharedFeatureCache(cache.folder)
    read, met = _compact.rows_of, iter([True])

    def meeting(files, number):
        if next(met, False):
            monkeypatch.setattr(_compact, "rows_of", read)
            other.compact()
        yield from read(files, number)

    monkeypatch.setattr(_compact, "rows_of", meeting)
    cache.compact()

    assert known(cache._store, 12) == list(range(12))
    assert cache.stats()["files"] == 1


def test_merged_files_fit_into_memory(cache, monkeypatch):
    """However many rows are asked for, a file has no more bytes than a limit."""
    monkeypatch.setattr(_compact, "GROUP", 4)
    monkeypatch.setattr(_compact, "_MOST_BYTES", 4 * BUNDLE.width * 4)

    cache.compact()

    assert cache.stats()["files"] == 3
    assert known(cache._store, 12) == list(range(12))


def test_the_command_says_what_became_of_the_files(cache):
    """And of a folder that is not there."""
    done = run("compact", cache.folder)
    missing = run("compact", cache.folder / "nothing")

    assert done.stdout == "12 rows in 1 files; there were 6.\n", done.stderr
    assert missing.returncode == 1
    assert missing.stderr.startswith("Error: There is no folder")


MERGING = """
import sys
from sklearn_pretrained import SharedFeatureCache
cache = SharedFeatureCache(sys.argv[1])
print("ready", flush=True)
while True:
    cache.compact(rows_per_file=400)
"""


def has_merged(folder, n):
    """Tell whether there are fewer files than were written, each of five rows."""
    return len([*folder.iterdir()]) < n / 5


@pytest.mark.slow
def test_killed_mergers_lose_nothing_while_others_write(tmp_path):
    """Three are killed; a reader that knew earlier files finds every row at every time."""
    folder = tmp_path / "features"
    writer, reader = SegmentStore(folder), SegmentStore(folder)
    dice = random.Random(0)
    n = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", MERGING, str(folder)], stdout=subprocess.PIPE, text=True
        ) as merger:
            merger.stdout.readline()
            end = time.monotonic() + dice.uniform(0.05, 0.5)
            while time.monotonic() < end or not has_merged(folder, n):
                put(writer, *range(n, n + 5))
                n += 5
                reader.refresh()
                if known(reader, n) != list(range(n)):  # a file came while the folder was listed
                    reader.refresh()
                    assert known(reader, n) == list(range(n))
            merger.send_signal(signal.SIGKILL)
    reader.refresh()

    assert known(reader, n) == list(range(n))
    assert SharedFeatureCache(folder).verify()["damaged"] == 0
    assert has_merged(folder, n)
