"""How fast rows are stored and read back, and what a known row costs altogether.

    python benchmarks/bench_store.py [FOLDER]

Rows are stored in batches of 256 and read back in batches of 256 in random order, from a file that
was opened anew. Each figure is the median of three runs; the disk is that of FOLDER, or of the
temporary folder. The price of a known row is that of a whole request: look-up and scatter.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sklearn_pretrained.cache import Request
from sklearn_pretrained.cache._memory import MemoryStore
from sklearn_pretrained.cache._policy import RowCache
from sklearn_pretrained.cache.disk import DiskStore
from sklearn_pretrained.recipe._recipe import Bundle

BATCH, RUNS = 256, 3
folder = sys.argv[1] if len(sys.argv) > 1 else None
rng = np.random.default_rng(0)


def batches(order):
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def rate(n, work):
    """Return rows per second, by the clock and by this process's own time."""
    started, busy = time.perf_counter(), time.process_time()
    work()
    return n / (time.perf_counter() - started), n / (time.process_time() - busy)


def put_and_get(width, n):
    bundle = Bundle("bench", (("features", width),))
    rows = rng.normal(size=(n, width)).astype(np.float32)
    digests = [rng.bytes(16) for _ in range(n)]
    order = rng.permutation(n)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        store = DiskStore(Path(place) / "rows.sqlite")
        again = DiskStore(Path(place) / "rows.sqlite")

        def put():
            for part in batches(range(n)):
                store.put(bundle, [digests[i] for i in part], rows[part.start : part.stop])

        def get():
            for part in batches(order):
                for i, row in zip(part, again.get(bundle, [digests[i] for i in part]), strict=True):
                    assert row[0] == rows[i, 0]

        found = rate(n, put), rate(n, get)
        store.file.close()
        again.file.close()
    return found


def known(store, width, n):
    bundle = Bundle("bench", (("early", 24), ("features", width), ("late", 1000)))
    wanted = Bundle("bench", (("features", width),))
    digests = [rng.bytes(16) for _ in range(n)]
    out = np.empty((n, width), np.float32)
    cache = RowCache(store)

    def compute(positions, bundle):
        for part in batches(positions):
            yield part, rng.normal(size=(len(part), bundle.width)).astype(np.float32)

    cache.fetch(Request(wanted, bundle, digests, compute, out))
    return 1e6 / rate(n, lambda: cache.fetch(Request(wanted, bundle, digests, None, out)))[0]


print(f"{'':27}{'by the clock':>16}{'of CPU time':>16}")
for width, n in [(2048, 20_000), (384, 50_000)]:
    runs = [put_and_get(width, n) for _ in range(RUNS)]
    for name, which in [("stored", 0), ("read at random", 1)]:
        clock, cpu = (np.median([run[which][kind] for run in runs]) for kind in (0, 1))
        print(f"{width:5} floats {name:15}{clock:14,.0f} /s{cpu:13,.0f} /s")
with tempfile.TemporaryDirectory(dir=folder) as place:
    disk = DiskStore(Path(place) / "rows.sqlite")
    for name, store in [("memory", MemoryStore(1 << 30)), ("disk", disk)]:
        spent = [known(store, 1280, 5_000) for _ in range(RUNS)]
        print(f"a known row of 1,280 floats, {name:7}: {np.median(spent):5.1f} µs")
    disk.file.close()
