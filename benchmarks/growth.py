"""10,000 to 1,000,000 rows through a network that costs nothing: seconds a row, and peak memory.

    python benchmarks/growth.py
    python benchmarks/growth.py --most 100000 --to docs/_static/growth.png

What is in the results (--results) is not measured again, so a run that was stopped goes on. Each
measurement has a process of its own. Seconds are those that its threads computed (CPU time), since
others may use the machine; memory is the largest resident size, less that before the data.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = [10_000, 100_000, 1_000_000]
KEYS = 10_000_000
WIDTH = 64  # of rows in the SQLite tier
AT_ONCE = 1024


def peak():
    """Return the largest resident size so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work):
    """Return CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


class Pictures:
    """n different pictures of 6 x 6 pixels, each made when it is asked for."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        picture = np.zeros((6, 6, 3), np.uint8)
        picture[0, 0] = i & 255, i >> 8 & 255, i >> 16 & 255
        return picture


def prepare(image):
    import torch

    return torch.from_numpy(np.array(image.crop((0, 0, 6, 6))))


def network():
    import torch

    class Nothing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = torch.nn.Identity(), torch.nn.Identity()
            self.last = torch.nn.Linear(3, 3)

        def forward(self, x):
            return self.last(self.second(self.first(x.float().mean((1, 2)))))

    torch.manual_seed(0)
    return Nothing()


def featurizer(**options):
    from sklearn_pretrained import PretrainedImageFeaturizer

    one = PretrainedImageFeaturizer(network, preprocessing=prepare, layer="first", **options)
    return one.fit([Pictures(1)[0]])


def stream(n, _folder):
    """Rows window by window, kept nowhere."""
    ours = featurizer(cache=None)
    next(ours.stream(Pictures(1)))
    before, rows = peak(), 0

    def work():
        nonlocal rows
        for positions, _ in ours.stream(Pictures(n)):
            rows += len(positions)

    took = timed(work)
    assert rows == n
    return took, peak() - before


def featurize(n, folder):
    """Rows into Parquet files."""
    from sklearn_pretrained import featurize

    ours = featurizer(keep_layers=["first", "second"])
    featurize(Pictures(100), ours, to=f"{folder}/few")
    before = peak()
    took = timed(lambda: featurize(Pictures(n), ours, to=f"{folder}/rows"))
    return took, peak() - before


def search(n, folder):
    """A search over two layers, in a folder that holds all rows."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline

    from sklearn_pretrained import PretrainedImageFeaturizer, SharedFeatureCache

    cache = SharedFeatureCache(f"{folder}/rows")
    X, y = np.stack([Pictures(n)[i] for i in range(n)]), np.arange(n) % 2
    ours = PretrainedImageFeaturizer(network, preprocessing=prepare, cache=cache)
    grid = {"pretrainedimagefeaturizer__layer": ["first", "second"]}
    search = GridSearchCV(make_pipeline(ours, GaussianNB()), grid, cv=2, refit=False)
    search.fit(X[:100], y[:100])
    before = peak()
    took = timed(lambda: search.fit(X, y))
    assert cache.stats()["forwards"] == 0
    return took, peak() - before


def _file(n, folder):
    from sklearn_pretrained.cache.disk import DiskStore
    from sklearn_pretrained.recipe._recipe import Bundle

    store = DiskStore(Path(folder) / "rows.sqlite", None)
    bundle = Bundle("recipe", (("layer:avg", WIDTH),))
    rows = np.random.default_rng(0).normal(size=(AT_ONCE, WIDTH)).astype(np.float32)
    return store, bundle, [digest(i) for i in range(n)], rows


def digest(i):
    """Return 32 bytes that look like a digest."""
    import hashlib

    return hashlib.blake2b(i.to_bytes(8, "little"), digest_size=32).digest()


def file_put(n, folder):
    """Claim and store rows in a SQLite file."""
    store, bundle, digests, rows = _file(n, folder)
    before = peak()

    def work():
        for start in range(0, n, AT_ONCE):
            some = digests[start : start + AT_ONCE]
            claim = store.claim(bundle, bundle, is_warm=True)
            mine, _ = claim.take(some, 0, len(some))
            claim.keep(mine, rows[: len(mine)])
            claim.release()

    return timed(work), peak() - before


def file_get(n, folder):
    """Look all rows of that file up, in the order in which they were stored."""
    return _looked_up(n, folder, np.arange(n))


def file_get_in_any_order(n, folder):
    """Look 100,000 rows of that file up, in any order."""
    return _looked_up(n, folder, np.random.default_rng(1).permutation(n)[:100_000])


def _looked_up(n, folder, chosen):
    store, bundle, digests, _ = _file(n, folder)
    before = peak()

    def work():
        for start in range(0, len(chosen), AT_ONCE):
            found = store.get(bundle, [digests[i] for i in chosen[start : start + AT_ONCE]])
            assert all(row is not None for row in found)

    cpu, wall = timed(work)
    return (cpu * n / len(chosen), wall * n / len(chosen)), peak() - before


def file_prune(n, folder):
    """Shrink that file to half; seconds are for each row that goes."""
    store, *_ = _file(n, folder)
    before, gone = peak(), 0

    def work():
        nonlocal gone
        gone = store.prune(store.stats()["bytes"] // 2)

    cpu, wall = timed(work)
    return (cpu * n / max(gone, 1), wall * n / max(gone, 1)), peak() - before


WAYS = [stream, featurize, search, file_put, file_get, file_get_in_any_order, file_prune]


def opening(n, folder):
    """Open that file for ten rows."""
    store, bundle, digests, _ = _file(n, folder)
    cpu, wall = timed(lambda: store.get(bundle, digests[:10]))
    return (
        f"{n:,} rows in a SQLite file, ten looked up: {1e3 * cpu:.0f} ms, {1e3 * wall:.0f} by clock"
    )


def index():
    """10,000,000 keys of 1,000 files: bytes, seconds to build, lookups a second."""
    from sklearn_pretrained.cache.segments._index import Index

    found, dice, before = Index(), np.random.default_rng(0), peak()
    some = []

    def build():
        for file in range(1000):
            lines = dice.integers(0, 256, (KEYS // 1000, 32), np.uint8)
            digests = [bytes(line) for line in lines]
            some.extend(digests[::100])
            found.add(file, digests)

    took = timed(build)
    dice.shuffle(some)

    def look():
        for start in range(0, len(some), AT_ONCE):
            files, _ = found.find(some[start : start + AT_ONCE])
            assert (files >= 0).all()

    looked, _ = timed(look)
    return {
        "keys": len(found),
        "MB": found.n_bytes / 1e6,
        "peak MB": peak() - before,
        "build s": took[0],
        "lookups/s": len(some) / looked,
    }


def child(*words):
    done = subprocess.run(
        [sys.executable, __file__, "--child", *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def draw(lines, place):
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for way in dict.fromkeys(line["way"] for line in lines):
        ours = [line for line in lines if line["way"] == way]
        rows, name = (
            [line["rows"] for line in ours],
            way.replace("file_", "SQLite: ").replace("_", " "),
        )
        left.loglog(rows, [1e6 * line["cpu"] / line["rows"] for line in ours], "o-", label=name)
        right.semilogx(rows, [line["MB"] for line in ours], "o-", label=name)
    left.set(xlabel="rows", ylabel="CPU microseconds a row", title="Time")
    right.set(xlabel="rows", ylabel="MB above the start", title="Peak memory")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center", fontsize="small")
    figure.savefig(place, dpi=120)


def show(line):
    micro, n = 1e6 / line["rows"], line["rows"]
    cells = (f"{n:,}", f"{micro * line['cpu']:.1f}", f"{micro * line['wall']:.1f}")
    print(line["way"], *cells, f"{line['MB']:.0f}", sep=" | ", flush=True)


def main(options):
    """Measure what is not among the results yet."""
    known = options.results.read_text().splitlines() if options.results.exists() else []
    lines = [json.loads(line) for line in known]
    print("way | rows | CPU µs/row | wall µs/row | peak MB")
    for n in [n for n in SIZES if n <= options.most]:
        folder = options.folder / str(n)
        folder.mkdir(parents=True, exist_ok=True)
        for way in WAYS:
            done = [one for one in lines if (one["way"], one["rows"]) == (way.__name__, n)]
            if not done:
                (cpu, wall), mb = child(way.__name__, n, folder)
                done = [{"way": way.__name__, "rows": n, "cpu": cpu, "wall": wall, "MB": mb}]
                lines += done
                with options.results.open("a") as file:
                    file.write(json.dumps(done[0]) + "\n")
            show(done[0])
            if way is file_get_in_any_order and (folder / "rows.sqlite").exists():
                print(child("opening", n, folder), flush=True)
        shutil.rmtree(folder)
    if options.to:
        draw(lines, options.to)
    print(child("index"), flush=True)


if __name__ == "__main__":
    if "--child" in sys.argv:
        _, _, name, *rest = sys.argv
        way = globals()[name]
        print(json.dumps(way(int(rest[0]), rest[1]) if rest else way()))
    else:
        parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
        parser.add_argument("--most", type=int, default=SIZES[-1], help="most rows")
        parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "growth")
        parser.add_argument("--results", type=Path, default=Path("growth.jsonl"))
        parser.add_argument("--to", help="where the plot goes")
        main(parser.parse_args())
