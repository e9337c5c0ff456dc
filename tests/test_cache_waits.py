"""Nobody waits for long: a claim saves work, and guards nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sklearn_pretrained.cache import FeatureCache, Request, _pace
from sklearn_pretrained.cache._memory import MemoryStore
from sklearn_pretrained.cache._pace import Pace
from sklearn_pretrained.cache._policy import RowCache
from sklearn_pretrained.cache._store import Patience
from sklearn_pretrained.cache.disk import DiskStore, _claims, _file, _store, _uses
from sklearn_pretrained.exceptions import CacheWarning
from tests.rows import BUNDLE, computing, digest_of, fetch, rows_of

DIGESTS = [digest_of(i) for i in range(300)]
pytestmark = pytest.mark.timeout(60)


def start(role: str, *arguments: object) -> subprocess.Popen:
    """Run one of the roles at the end of this file in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.test_cache_waits", role, *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    )


def claims_in(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM claims").fetchone()[0]


def seconds_to_fetch(path: Path, digests: list[bytes] = DIGESTS) -> float:
    """Let a store of its own, as another process has, give all rows; say how long that took."""
    began = time.monotonic()
    out, _ = fetch(RowCache(DiskStore(path)), digests)
    np.testing.assert_array_equal(out, rows_of(digests))
    return time.monotonic() - began


# -- claims that nobody works on


def test_a_disk_that_was_full_for_a_moment_leaves_no_claim_that_others_wait_for(tmp_path):
    """Claims that could not be deleted are those of a process that shows no sign of life."""
    cache = FeatureCache(tmp_path / "rows")
    fetch(cache, DIGESTS[:10])

    def compute(positions, bundle):
        for done, batch in enumerate(computing(DIGESTS)(positions, bundle)):
            if done == 2:
                with cache._store.file.transaction() as connection:
                    connection.execute("PRAGMA max_page_count = 1")
            yield batch

    out = np.empty((300, BUNDLE.width), np.float32)
    with pytest.warns(CacheWarning, match="database or disk is full"):
        cache.fetch(Request(BUNDLE, BUNDLE, DIGESTS, compute, out))
    np.testing.assert_array_equal(out, rows_of(DIGESTS))

    assert claims_in(cache.path) > 0
    assert seconds_to_fetch(cache.path) < 1.5
    assert claims_in(cache.path) == 0


def test_two_interrupts_leave_no_claim_that_others_wait_for(tmp_path, monkeypatch):
    """The second falls into the giving up of claims; the next request goes on at once."""
    cache = FeatureCache(tmp_path / "rows")

    def again(*arguments):
        raise KeyboardInterrupt

    def interrupted(positions, bundle):
        patched.setattr(_claims, "free", again)
        raise KeyboardInterrupt

    out = np.empty((300, BUNDLE.width), np.float32)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        cache.fetch(Request(BUNDLE, BUNDLE, DIGESTS, interrupted, out))

    assert claims_in(cache.path) > 0
    assert seconds_to_fetch(cache.path) < 1.5


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing stops a process here")
def test_a_stopped_process_is_overtaken_and_goes_on_unharmed(tmp_path, monkeypatch):
    """Its rows are computed by who needs them, with one warning, after some seconds at most."""
    monkeypatch.setattr(_pace, "_UNKNOWN", 0.5)
    monkeypatch.setattr(_pace, "_LEAST", 0.5)
    worker = start("work", tmp_path / "rows", 0.05)
    try:
        assert worker.stdout.readline() == "a batch\n"
        time.sleep(0.2)
        worker.send_signal(signal.SIGSTOP)
        with pytest.warns(CacheWarning, match="may have been stopped; others compute") as told:
            assert seconds_to_fetch(tmp_path / "rows") < 5
        assert len(told) == 1
        worker.send_signal(signal.SIGCONT)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.communicate()
    assert DiskStore(tmp_path / "rows").stats()["rows"] == 300
    assert claims_in(tmp_path / "rows") == 0


def test_a_thread_that_hangs_is_overtaken(monkeypatch):
    """In memory too, with one warning."""
    monkeypatch.setattr(_pace, "_STARTING", 0.3)
    cache, hang = RowCache(MemoryStore(1 << 24)), threading.Event()

    def hanging(positions, bundle):
        hang.wait()
        yield from computing(DIGESTS)(positions, bundle)

    out = np.empty((300, BUNDLE.width), np.float32)
    request = Request(BUNDLE, BUNDLE, DIGESTS, hanging, out)
    other = threading.Thread(target=cache.fetch, args=(request,))
    other.start()
    time.sleep(0.1)
    with pytest.warns(
        CacheWarning, match="Another thread has not computed any of its claimed rows"
    ):
        rows, _ = fetch(cache, DIGESTS)
    np.testing.assert_array_equal(rows, rows_of(DIGESTS))
    hang.set()
    other.join()
    np.testing.assert_array_equal(out, rows_of(DIGESTS))


def test_who_waits_does_so_while_rows_come(tmp_path, monkeypatch):
    """A slow process that gives batch after batch is not overtaken: each row is computed once."""
    monkeypatch.setattr(_pace, "_UNKNOWN", 1.0)
    monkeypatch.setattr(_claims, "PARTS", 0)
    worker = start("work", tmp_path / "rows", 0.3, 64)
    try:
        assert worker.stdout.readline() == "a batch\n"
        out, seen = fetch(RowCache(DiskStore(tmp_path / "rows")), DIGESTS[:64])
    finally:
        worker.kill()
        worker.communicate()

    assert seen == []
    np.testing.assert_array_equal(out, rows_of(DIGESTS[:64]))


def work(path: Path, delay: float, n: int = 300) -> None:
    """Compute rows in slow batches."""

    def compute(positions, bundle):
        for batch in computing(DIGESTS)(positions, bundle):
            time.sleep(delay)
            yield batch
            print("a batch", flush=True)  # noqa: T201

    out = np.empty((n, BUNDLE.width), np.float32)
    FeatureCache(path).fetch(Request(BUNDLE, BUNDLE, DIGESTS[:n], compute, out))
    assert (out == rows_of(DIGESTS[:n])).all()


# -- how long is long


def test_nobody_waits_longer_than_it_would_take_to_compute(monkeypatch):
    """Three batches' time at one's own pace, or that of all that is missing; else seconds."""
    clock = [0.0]
    monkeypatch.setattr(_pace.time, "monotonic", lambda: clock[0])
    pace = Pace()

    def batches(n, seconds):
        for _ in range(n):
            clock[0] += seconds
            yield list(range(8)), np.empty((8, 1), np.float32)

    assert pace.patience(1000) == Patience(working=10.0, starting=20.0)
    assert (pace.is_warm, pace.share()) == (False, 64)
    list(pace.timed(batches(1, 30.0)))  # the first loads the network
    assert pace.patience(1000) == Patience(working=10.0, starting=20.0)
    list(pace.timed(batches(3, 8.0)))
    assert pace.is_warm
    assert pace.patience(1000).working == pytest.approx(24.0)
    assert pace.patience(10).working == pytest.approx(10.0)
    assert pace.patience(1).working == 2.0
    assert pace.share() == 8
    list(pace.timed(batches(99, 0.008)))
    assert pace.patience(10**6).working == 2.0
    assert pace.share() == pytest.approx(2000, rel=0.01)


def test_a_file_that_another_program_keeps_locked_costs_one_wait(tmp_path, monkeypatch):
    """Sixteen threads wait once, together, for reading and writing."""
    monkeypatch.setattr(_file, "PATIENCE", 0.5)
    cache = RowCache(DiskStore(tmp_path / "rows"))
    fetch(cache, DIGESTS[:100])
    cache.store.file.close()
    other = sqlite3.connect(tmp_path / "rows", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    found = {}

    def ask(k):
        found[k] = fetch(cache, DIGESTS)[0]

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(16)]
    began = time.monotonic()
    with pytest.warns(CacheWarning, match="database is locked"):  # noqa: PT031
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    spent = time.monotonic() - began
    other.close()

    assert spent < 4
    for out in found.values():
        np.testing.assert_array_equal(out, rows_of(DIGESTS))


def test_a_file_that_another_program_reads_for_long_is_read_too(tmp_path, monkeypatch):
    """Writing is what waits, once: neither rows nor the notes that they were used are stored."""
    monkeypatch.setattr(_file, "PATIENCE", 0.5)
    monkeypatch.setattr(_uses, "TOUCH", -1)
    monkeypatch.setattr(_store, "COUNT", -1)
    cache = RowCache(DiskStore(tmp_path / "rows"))
    fetch(cache, DIGESTS[:100])
    other = sqlite3.connect(tmp_path / "rows", isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM items").fetchone()
    began = time.monotonic()
    with pytest.warns(CacheWarning, match="cannot be written: database is locked"):
        assert fetch(cache, DIGESTS[:100])[1] == []
    for _ in range(5):
        assert fetch(cache, DIGESTS[:100])[1] == []
    spent = time.monotonic() - began
    other.close()

    assert spent < 2


# -- what claims cost


def test_a_claim_does_not_cost_more_where_more_is_missing(tmp_path):
    """Ten claims among a million missing rows."""
    store = DiskStore(tmp_path / "rows")
    missing = [i.to_bytes(4, "big") for i in range(10**6)]
    store.claim(BUNDLE, BUNDLE, is_warm=True).take(missing[:8], 0, 8)
    began, at = time.process_time(), 0
    for _ in range(10):
        claim = store.claim(BUNDLE, BUNDLE, is_warm=True)
        mine, at = claim.take(missing, at, 1024)
        claim.release()

    assert at == 8 + 10 * len(mine)
    assert time.process_time() - began < 0.6


def test_waiting_does_not_cost_more_where_more_is_missing():
    """A thread that waits for 40,000 rows looks at each of them once or twice."""
    store = MemoryStore(1 << 30)
    bundle = BUNDLE.__class__("r", (("x", 4),))
    digests = [i.to_bytes(4, "big") for i in range(40_000)]
    claim = store.claim(bundle, bundle, is_warm=True)
    claim.take(digests, 0, 1)
    waiting = threading.Thread(target=store.wait, args=(bundle, digests, Patience(20.0, 20.0)))
    began = time.process_time()
    waiting.start()
    for i in range(0, 40_000, 8):
        claim.keep(digests[i : i + 8], np.zeros((8, 4), np.float32))
    claim.release()
    waiting.join()

    assert time.process_time() - began < 3


# -- faults anywhere


class Fragile(sqlite3.Connection):
    """A connection whose n-th statement fails."""

    left = -1
    failure: BaseException = sqlite3.OperationalError("disk I/O error")

    def execute(self, *arguments):
        self._count()
        return super().execute(*arguments)

    def executemany(self, *arguments):
        self._count()
        return super().executemany(*arguments)

    @classmethod
    def _count(cls):
        cls.left -= 1
        if cls.left == 0:
            raise cls.failure


@pytest.mark.filterwarnings("ignore::sklearn_pretrained.exceptions.CacheWarning")
@pytest.mark.parametrize(
    ("failure", "step"),
    [
        (sqlite3.OperationalError("disk I/O error"), 2),
        (OSError("gone"), 3),
        (KeyboardInterrupt(), 1),
    ],
)
def test_a_fault_at_any_statement_gives_right_rows_and_holds_up_nobody(
    tmp_path, monkeypatch, failure, step
):
    """An interrupt ends the request that it hits; the next one is served at once."""
    connect = sqlite3.connect
    fragile = lambda *a, **options: connect(*a, factory=Fragile, **options)
    monkeypatch.setattr(_file.sqlite3, "connect", fragile)
    monkeypatch.setattr(Fragile, "failure", failure)
    digests = DIGESTS[:20]
    for n in range(1, 60, step):
        path = tmp_path / f"{n}"
        monkeypatch.setattr(Fragile, "left", n)
        try:
            out, _ = fetch(RowCache(DiskStore(path)), digests)
            np.testing.assert_array_equal(out, rows_of(digests))
        except KeyboardInterrupt:
            assert isinstance(failure, KeyboardInterrupt)
        hit = Fragile.left <= 0
        Fragile.left = -1
        assert seconds_to_fetch(path, digests) < 1.5
        if not hit:
            break

    assert n > 20


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    work(Path(rest[0]), float(rest[1]), *map(int, rest[2:]))
    os._exit(0)
