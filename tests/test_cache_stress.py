"""The disk cache under real kills and many users at once.

Pytest runs short forms; the long ones are

    python -m tests.test_cache_stress kills 200
    python -m tests.test_cache_stress crowd 10000
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sklearn_pretrained.cache import FeatureCache, Request
from sklearn_pretrained.cache.disk import DiskStore
from tests.rows import BUNDLE, digest_of, fetch, row_of, rows_of

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills need POSIX signals")
# Rows that a killed process may have computed and not stored: at most those of one claim.
BATCH, AT_RISK = 8, 64


def start(role: str, *arguments: object, **options: object) -> subprocess.Popen:
    """Run one of the roles at the end of this file in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.test_cache_stress", role, *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        **options,
    )


# -- kills


def work(folder: Path, n: int, delay: float, pace: str = "uneven") -> None:
    """Ask for all rows; note each forward, and acknowledge what came back, in files of one's own.

    The notes go straight to the kernel, so that a killed process has written what it did.
    """
    forwards, acknowledged = (
        os.open(folder / f"{name}-{os.getpid()}", os.O_WRONLY | os.O_CREAT)
        for name in ("forwards", "acknowledged")
    )
    cache = FeatureCache(folder / "rows")
    # In pieces, so that much is acknowledged before the end.
    for first in range(0, n, 200):
        asked = [digest_of(i) for i in range(first, min(first + 200, n))]

        def compute(positions, bundle, asked=asked):
            for k in range(0, len(positions), BATCH):
                part = positions[k : k + BATCH]
                time.sleep(delay * (random.random() * 2 if pace == "uneven" else 1))
                os.write(forwards, b"x" * len(part))
                yield part, rows_of([asked[i] for i in part], bundle)

        out = np.full((len(asked), BUNDLE.width), np.nan, np.float32)
        cache.fetch(Request(BUNDLE, BUNDLE, asked, compute, out))
        assert (out == rows_of(asked)).all(), "a wrong row"
        os.pwrite(acknowledged, str(first + len(asked)).encode().ljust(8), 0)


def kill_and_count(kills: int, n: int, delay: float, limit: float) -> dict[str, int]:
    """Let three processes share the work while one after the other is killed; count."""
    dice = random.Random(0)
    began = time.monotonic()
    killed = lost = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        digests = [digest_of(i) for i in range(n)]
        workers = [start("work", folder, n, delay) for _ in range(3)]
        try:
            while workers:
                assert time.monotonic() - began < limit, "somebody hangs"
                time.sleep(0.05 + dice.random() * 0.3)
                running = [w for w in workers if (folder / f"forwards-{w.pid}").exists()]
                if killed < kills and running:
                    victim = dice.choice(running)
                    victim.kill()
                    if victim.wait() == -signal.SIGKILL:
                        killed += 1
                    workers.remove(victim)
                    workers.append(start("work", folder, n, delay))
                    note = folder / f"acknowledged-{victim.pid}"
                    promised = int(note.read_bytes() or b"0") if note.exists() else 0
                    found = DiskStore(folder / "rows").get(BUNDLE, digests[:promised])
                    lost += sum(row is None for row in found)
                for worker in [w for w in workers if w.poll() is not None]:
                    assert worker.returncode == 0
                    workers.remove(worker)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        found = DiskStore(folder / "rows").get(BUNDLE, digests)
        return {
            "killed": killed,
            "forwards": sum(path.stat().st_size for path in folder.glob("forwards-*")),
            "stored": FeatureCache(folder / "rows").stats()["rows"],
            "lost": lost + sum(row is None for row in found),
            "wrong": sum(
                row is not None and row.tobytes() != row_of(digest).tobytes()
                for digest, row in zip(digests, found, strict=True)
            ),
        }


def check_kills(kills: int, n: int, delay: float, limit: float) -> dict[str, int]:
    counts = kill_and_count(kills, n, delay, limit)
    assert counts["killed"] == kills, counts
    assert counts["stored"] == n, counts
    assert counts["lost"] == counts["wrong"] == 0, counts
    assert n <= counts["forwards"] <= n + kills * AT_RISK, counts
    return counts


def test_killed_processes_lose_nothing_and_waste_little():
    """12 real SIGKILLs among three processes that share the work: all rows are stored once."""
    print(check_kills(12, 1600, 0.02, limit=150))  # noqa: T201


def test_a_kill_wastes_one_batch_where_a_batch_takes_longer_than_storing(tmp_path):
    """What was computed before is in the file."""
    for k, after in enumerate((0.1, 0.6)):
        folder = tmp_path / str(k)
        folder.mkdir()
        worker = start("work", folder, 200, 1.0, "even")
        note = folder / f"forwards-{worker.pid}"
        try:
            while not note.exists() or note.stat().st_size < 2 * BATCH:
                time.sleep(0.01)
            time.sleep(after)
        finally:
            worker.kill()
            worker.wait()
        computed = note.stat().st_size
        stored = FeatureCache(folder / "rows").stats()["rows"]
        assert computed - BATCH <= stored <= computed
        assert stored >= BATCH


def test_the_work_of_a_dead_process_is_taken_over_at_once(tmp_path):
    """Nobody waits until a lease ends."""
    cache = FeatureCache(tmp_path / "rows")
    cache.clear()
    worker = start("work", tmp_path, 200, 5.0)
    try:
        while not claims_of(cache):
            time.sleep(0.01)
    finally:
        worker.kill()
        worker.wait()
    digests = [digest_of(i) for i in range(200)]
    assert claims_of(cache) > 0
    started = time.monotonic()
    out, _ = fetch(cache, digests)

    assert time.monotonic() - started < 3
    np.testing.assert_array_equal(out, rows_of(digests))
    assert claims_of(cache) == 0


def claims_of(cache: FeatureCache) -> int:
    with DiskStore(cache.path).file.transaction() as connection:
        return connection.execute("SELECT count(*) FROM claims").fetchone()[0]


def test_a_writer_killed_in_the_middle_of_a_transaction_leaves_the_file_whole(tmp_path):
    """What it acknowledged before is there."""
    for i in range(8):
        worker = start("write", tmp_path, i, stdout=subprocess.PIPE)
        said = worker.stdout.readline()
        time.sleep(0.02 * i)
        worker.kill()
        said += worker.communicate()[0]
        # The last line may have been cut.
        acknowledged = int(said[: said.rindex(b"\n")].split()[-1])
        digests = [digest_of(1000 * i + k) for k in range(acknowledged)]
        found = DiskStore(tmp_path / "rows").get(BUNDLE, digests)
        for digest, row in zip(digests, found, strict=True):
            assert row is not None
            assert row.tobytes() == row_of(digest).tobytes()
    assert FeatureCache(tmp_path / "rows").verify()["damaged"] == 0


def write(folder: Path, which: int) -> None:
    """Store ten rows at a time, and say how many there are."""
    store = DiskStore(folder / "rows")
    for first in range(0, 1000, 10):
        digests = [digest_of(1000 * which + first + k) for k in range(10)]
        store.put(BUNDLE, digests, rows_of(digests))
        print(first + 10, flush=True)  # noqa: T201
    time.sleep(60)


# -- a crowd


def test_sixteen_threads_that_want_overlapping_rows_compute_each_once(tmp_path):
    """All come out right, from one file."""
    cache = FeatureCache(tmp_path / "rows")
    digests = [digest_of(i) for i in range(600)]
    found = {}

    def ask(k: int) -> None:
        mine = random.Random(k).sample(digests, 300)
        out, seen = fetch(cache, mine)
        found[k] = (out == rows_of(mine)).all(), seen

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [digest for _, mine in found.values() for digest in mine]

    assert [right for right, _ in found.values()] == [True] * 16
    assert len(seen) == len(set(seen)) == cache.stats()["rows"]


def crowd_member(path: Path, seed: int, operations: int) -> None:
    """Store and read rows from four threads, and check each."""
    store, wrong = DiskStore(path), []

    def run(thread: int) -> None:
        dice = random.Random(100 * seed + thread)
        for _ in range(operations):
            digests = [digest_of(dice.randrange(5000)) for _ in range(4)]
            if dice.random() < 0.1:
                store.put(BUNDLE, digests, rows_of(digests))
            for digest, row in zip(digests, store.get(BUNDLE, digests), strict=True):
                if row is not None and row.tobytes() != row_of(digest).tobytes():
                    wrong.append(digest)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(f"{len(wrong)} wrong rows" if wrong else 0)


def check_crowd(operations: int, limit: float) -> float:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "rows"
        began = time.monotonic()
        members = [start("member", path, seed, operations) for seed in range(4)]
        try:
            ended = [member.wait(timeout=limit) for member in members]
        finally:
            for member in members:
                member.kill()
                member.wait()
        assert ended == [0, 0, 0, 0]
        spent = time.monotonic() - began
        counts = FeatureCache(path).verify()
        assert counts["damaged"] == 0
        assert counts["rows"] > 100
        return spent


def test_four_processes_of_four_threads_get_no_wrong_row():
    """Storing and reading the same rows at once."""
    check_crowd(100, limit=120)


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    if role == "work":
        work(Path(rest[0]), int(rest[1]), float(rest[2]), *rest[3:])
    elif role == "write":
        write(Path(rest[0]), int(rest[1]))
    elif role == "member":
        crowd_member(Path(rest[0]), int(rest[1]), int(rest[2]))
    elif role == "kills":
        n = int(rest[0])
        print(check_kills(n, n * 240, 0.02, limit=20.0 * n))  # noqa: T201
    elif role == "crowd":
        print(f"{check_crowd(int(rest[0]), limit=3600):.0f} s, 0 wrong")  # noqa: T201
