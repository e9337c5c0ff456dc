"""All threads on one batch, beside several batches at the same time: rows a second, in turns.

    python benchmarks/streams.py
    python benchmarks/streams.py --networks torchvision/resnet18 --rounds 9

Networks have random weights, images random pixels; only speed is measured, after the rows were
compared. "busy" is the same while a process spins on each of half the cores.
"""

import argparse
import contextlib
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import numpy as np
import torch

from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer
from sklearn_pretrained.running import _streams

WORDS = [
    "the",
    "of",
    "and",
    "rain",
    "bridge",
    "river",
    "old",
    "stone",
    "under",
    "light",
    "walked",
    "slowly",
    "because",
    "nobody",
    "knew",
]


def texts(count):
    """Make texts of 1 to 200 words, half of them shorter than 15."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(2.7, 0.9, count).astype(int), 1, 200)
    return [" ".join(rng.choice(WORDS, length)) for length in lengths]


_made = []


def make(network, count, limit):
    """Prepare a process for one way; return the rows."""
    warnings.simplefilter("ignore")
    _streams._MOST = limit
    if network == "minilm":
        featurizer, X = PretrainedTextFeaturizer(cache=None), texts(4 * count)
    else:
        featurizer = PretrainedImageFeaturizer(network, weights=None, cache=None)
        X = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)
    _made[:] = featurizer.fit(X[:2]), X
    return [featurizer.transform(X) for _ in range(3)][-1]


def seconds():
    """Time one pass."""
    featurizer, X = _made
    started = time.perf_counter()
    featurizer.transform(X)
    return time.perf_counter() - started


@contextlib.contextmanager
def others(count):
    """Keep other processes at work."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def main():
    """Print a line for each network, idle and busy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = ["torchvision/mobilenet_v2", "torchvision/resnet18", "torchvision/vit_b_16", "minilm"]
    parser.add_argument("--networks", nargs="+", default=every)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=48, help="images, or a quarter of the texts")
    chosen = parser.parse_args()
    threads = torch.get_num_threads()
    print(f"{threads} threads")
    for network in chosen.networks:
        # A process for each way: weights are laid out for the one that runs first.
        ways = [ProcessPoolExecutor(1, get_context("spawn")) for _ in range(2)]
        limits = (1, _streams._MOST)
        rows = [
            way.submit(make, network, chosen.count, limit).result()
            for way, limit in zip(ways, limits, strict=True)
        ]
        assert np.abs(rows[0] - rows[1]).max() < 1e-4 * np.abs(rows[0]).max()
        for busy in (False, True):
            with others(threads // 2 if busy else 0):
                times = [
                    [way.submit(seconds).result() for way in ways] for _ in range(chosen.rounds)
                ]
            one, several = (len(rows[0]) / median(column) for column in zip(*times, strict=True))
            faster = median(before / after for before, after in times)
            print(
                f"{network:26} {'busy' if busy else 'idle'}  one batch {one:6.1f}/s  "
                f"several {several:6.1f}/s  {faster:.2f} x",
                flush=True,
            )
        for way in ways:
            way.shutdown()


if __name__ == "__main__":
    main()
