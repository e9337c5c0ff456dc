"""A folder that machines share, under kills, flipped bytes and a full disk; `featurize`, killed."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sklearn_pretrained import PretrainedTextFeaturizer, SharedFeatureCache, read_features
from sklearn_pretrained.cache.segments import SegmentStore
from sklearn_pretrained.exceptions import CacheWarning
from tests.conftest import relative_error
from tests.test_featurize import started, stored
from tests.test_segments import BUNDLE, digest, known, row, rows
from tests.writers import write

KILLS, FLIPS, N = 200, 500, 4000
_NEWUTS = 0x04000000


def _work(folder, host, acknowledged, seed):
    """Store rows of random items for ever, as another machine, and say which are stored."""
    if ctypes.CDLL(None).unshare(_NEWUTS) == 0:
        socket.sethostname(host)
    write(folder, seed, N, acknowledged)


def _fork(folder, host, acknowledged, seed):
    process = os.fork()
    if process == 0:
        warnings.simplefilter("ignore")
        try:
            _work(folder, host, acknowledged, seed)
        finally:
            os._exit(1)
    return process


def test_two_machines_on_one_folder(tmp_path):
    """200 writers that also merge are killed: no row is wrong, none that was stored is lost."""
    folder = tmp_path / "features"
    out, into = os.pipe()
    os.set_blocking(out, False)
    os.set_blocking(into, True)
    dice, stored_items, seen = random.Random(0), set(), Counter()
    working = {host: _fork(folder, host, into, host) for host in ("one", "two")}
    reader = None
    for kill in range(KILLS):
        time.sleep(dice.uniform(0.02, 0.2))
        host = dice.choice([*working])
        os.kill(working[host], signal.SIGKILL)
        assert os.waitpid(working[host], 0)[1] == signal.SIGKILL
        try:
            told = os.read(out, 1 << 20)
        except BlockingIOError:
            told = b""
        stored_items |= {int.from_bytes(told[i : i + 4], "big") for i in range(0, len(told), 4)}
        if kill == KILLS // 2:
            reader = SegmentStore(folder)  # starts in the middle
        if reader is not None:
            reader.refresh()
            there = set(known(reader, N))  # each is compared with the right one
            if stored_items - there:  # a file came while the folder was listed
                reader.refresh()
                there = set(known(reader, N))
            assert stored_items <= there
            seen["looks"] += 1
        working[host] = _fork(folder, host, into, f"{host} {kill}")
    for process in working.values():
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    os.close(out)
    os.close(into)

    assert SharedFeatureCache(folder).verify()["damaged"] == 0
    print(
        f"\n{KILLS} kills: {len(stored_items)} rows stored, 0 lost, 0 wrong, {seen['looks']} looks"
    )


def test_flipped_bytes(tmp_path):
    """500 of them: no row is wrong; what is damaged is missing until it is stored again."""
    store = SegmentStore(tmp_path)
    for start in range(0, 400, 40):
        store.put(
            BUNDLE, [digest(i) for i in range(start, start + 40)], rows(*range(start, start + 40))
        )
    files, dice, missing = sorted(tmp_path.glob("*.parquet")), random.Random(1), 0
    for _ in range(FLIPS):
        path = dice.choice(files)
        content = path.read_bytes()
        changed = bytearray(content)
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            other = SegmentStore(tmp_path)
            other.refresh()
            found = known(other, 400)  # each is compared with the right one
        assert len(found) in {360, 400}
        missing += 400 - len(found)
        path.write_bytes(content)
    print(f"\n{FLIPS} flipped bytes: 0 wrong rows, {missing // 40} of them made a file unreadable")


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can be mounted by root alone")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(small_disk):
    """Rows are given up with a warning, none is wrong, and merging fails nothing that is there."""
    store, n = SegmentStore(small_disk), 0

    def put():
        return store.put(BUNDLE, [digest(i) for i in range(n, n + 40)], rows(*range(n, n + 40)))

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        while put():
            n += 40
    assert [one.category for one in told] == [CacheWarning]
    assert "No space left" in str(told[0].message)
    other = SegmentStore(small_disk)
    other.refresh()
    assert known(other, n + 40) == list(range(n))
    with pytest.raises(OSError, match="No space left"):
        SharedFeatureCache(small_disk).compact()
    other.refresh()
    assert known(other, n + 40) == list(range(n))
    assert np.array_equal(other.get(BUNDLE, [digest(0)])[0], row(0))
    print(f"\na full disk: {n} rows stored, 0 lost, 0 wrong")


def test_featurize_is_killed(tmp_path):
    """Twenty times: every row once, and only what was missing is computed."""
    n, kills, to = 2000, 20, Path(tmp_path / "features")
    written = [f"text number {i}" for i in range(n)]
    pq.write_table(pa.table({"text": written}), tmp_path / "texts.parquet")
    before = 0
    for _ in range(kills):
        run = started(tmp_path / "texts.parquet", to, 0.05)
        while stored(to) < before + 40:
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
        before = stored(to)
    run = started(tmp_path / "texts.parquet", to, 0)
    said, _ = run.communicate(timeout=1000)
    total, computed = map(int, said.split())
    features = read_features(to)

    assert (total, computed) == (n, n - before)
    assert features.table.column("text").to_pylist() == written
    expected = PretrainedTextFeaturizer(layer=0, cache=None).fit_transform(written)
    error = relative_error(features.X, expected)
    assert error < 1e-5
    print(
        f"\nfeaturize: {kills} kills, {before} rows were there, {computed} computed then, "
        f"error {error:.1e}"
    )
