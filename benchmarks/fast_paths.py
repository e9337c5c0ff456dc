"""What each fast path gains: a network with all of them beside the same network without that one.

    python benchmarks/fast_paths.py [--networks vit_b_16,…] [--paths attention,…] [--rounds 7]

One process holds a network in every variant, and the variants take turns, in another order each
round. "pages" changes a whole process, so there are two. This is repeated with fresh processes,
since where memory lies makes a difference too. A time is that of the processor, so that other load
on the machine counts for little. Random weights will do. A line says how many times as long a pass
takes without a path: the median of all ratios, and the medians of each pair of processes.
"""

import argparse
import random
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from importlib import import_module
from statistics import median
from unittest.mock import patch

EAGER = "sklearn_pretrained.running.eager."
NEVER = 10**9


def _nothing(*_args, **_options):
    return None


def _no(*_args, **_options):
    return False


PATHS = {
    "all": [("fast._speed_up", "fast_paths", _no), ("_registry", "fast_paths", _no)],
    "channels last": [("fast._speed_up", "_channels_last", lambda x: x)],
    "batch norm": [("fast._speed_up", "fold", _nothing)],
    "oneDNN convolutions": [("fast._convs", "packs", _no)],
    "layouts of shapes": [("fast._convs", "_OFTEN", NEVER)],
    "activations": [("fast._fold", "activation_name", _nothing)],
    "attention": [("fast._speed_up", "attend_blockwise", _nothing)],
    "oneDNN linears": [
        ("fast._speed_up", "is_worth_it", _no),
        ("fast._attention", "is_worth_it", _no),
    ],
    "packing": [("_registry", "find_packing", _nothing)],
    "pages": [("fast._speed_up", "keep_pages", _nothing)],
}
CONVOLUTIONS = ["batch norm", "oneDNN convolutions", "layouts of shapes", "activations"]
NETWORKS = {
    "mobilenet_v2": CONVOLUTIONS,
    "mobilenet_v3_large": CONVOLUTIONS,
    "efficientnet_b0": CONVOLUTIONS,
    "resnet18": CONVOLUTIONS,
    "resnet50": CONVOLUTIONS,
    "convnext_tiny": ["channels last", "oneDNN linears"],
    "vit_b_16": ["attention", "oneDNN linears"],
    "minilm": ["packing", "oneDNN linears"],
}


@contextmanager
def switched_off(path):
    """Do without a path inside this context."""
    with ExitStack() as stack:
        for module, name, value in PATHS.get(path, ()):
            stack.enter_context(patch.object(import_module(EAGER + module), name, value))
        yield


def texts(n):
    """Return texts of 5 to 60 words."""
    words = ["the", "network", "reads", "a", "short", "or", "longer", "text", "about", "birds"]
    chosen = random.Random(0)
    return [" ".join(chosen.choices(words, k=chosen.randint(5, 60))) for _ in range(n)]


def images(n):
    """Return arrays of noise."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


def featurizer_of(network):
    """Return the estimator of a network."""
    from sklearn_pretrained import PretrainedImageFeaturizer, PretrainedTextFeaturizer

    if network == "minilm":
        return PretrainedTextFeaturizer(cache=None, device="cpu")
    return PretrainedImageFeaturizer(network, weights=None, cache=None, device="cpu")


def work(network, items):
    """Read a path in each line, and say how long one pass takes without it."""
    warnings.simplefilter("ignore")
    from sklearn_pretrained.running.eager import _registry

    X = texts(8 * items) if network == "minilm" else images(items)
    featurizer = featurizer_of(network).fit(X)
    loaded = defaultdict(dict)
    for line in sys.stdin:
        path = line.strip()
        passes = 1 if path in loaded else max(6, 32 // len(X))  # few items are not worth the work
        with switched_off(path):
            _registry._loaded.clear()
            _registry._loaded.update(loaded[path])
            for _ in range(passes):
                started = time.process_time()
                featurizer.transform(X)
                spent = time.process_time() - started
            loaded[path] = dict(_registry._loaded)
        print(spent, flush=True)


class Worker:
    """A process that times passes of one network."""

    def __init__(self, network, items):
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", network, str(items)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, path):
        """Return the processor's time of a pass without a path."""
        print(path, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def ratios(network, paths, options):
    """Return for each path how many times as long a pass takes without it, round by round."""
    both = {path: Worker(network, options.items) for path in {"", "pages"} & {"", *paths}}
    workers = {path: both.get(path, both[""]) for path in ("", *paths)}
    found = {path: [] for path in paths}
    for i in range(options.rounds + 1):
        turns = random.sample(list(workers), len(workers))
        seconds = {path: workers[path].seconds(path) for path in turns}
        if i:  # the first round loads
            for path in paths:
                found[path].append(seconds[path] / seconds[""])
    for worker in both.values():
        worker.close()
    return found


def compare(network, paths, options):
    """Print a line for each path."""
    runs = [ratios(network, paths, options) for _ in range(options.processes)]
    for path in paths:
        middle = median(ratio for run in runs for ratio in run[path])
        each = ", ".join(f"{median(run[path]):.3f}" for run in runs)
        print(f"{network:20} {path:20} {middle:6.3f}   {each}", flush=True)


def main():
    """Compare every network that a path is meant for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words = {"type": lambda text: text.split(",")}
    parser.add_argument("--networks", default=list(NETWORKS), **words)
    parser.add_argument("--paths", default=list(PATHS), **words)
    parser.add_argument("--items", type=int, default=8, help="images; eight times as many texts")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processes", type=int, default=3)
    options = parser.parse_args()
    for network in options.networks:
        paths = [p for p in ("all", *NETWORKS[network], "pages") if p in options.paths]
        compare(network, paths, options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], int(sys.argv[3]))
    else:
        main()
