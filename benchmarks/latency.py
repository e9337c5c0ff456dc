"""How long one row takes: a service's `transform([x])`, beside its network alone.

    python benchmarks/latency.py
    python benchmarks/latency.py --threads 1 --requests 500

"alone" is the same preparation and the same network, called with nothing else around them; of a
text, it is the tokenizer itself, three tensors and the network. The featurizer is opened from a
pickle, as a service opens it, and warm. Each request brings an item that was not there before.
Requests come from one thread, where both ways take turns, and from several at the same time; torch
has as many threads of its own as the machine has cores. Medians (p50) and what 95% of requests do
not exceed (p95), in milliseconds, how much longer the median is, and how much more time on a
processor it takes, which other load moves less than time on a clock.
"""

import argparse
import json
import pickle
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import resnet18

from sklearn_pretrained import (
    ModuleFeaturizer,
    PretrainedImageFeaturizer,
    PretrainedTextFeaturizer,
)
from sklearn_pretrained.running import Runners


def tiny():
    """Make a featurizer over a network that takes microseconds, and its items."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
    rows = np.random.default_rng(0).normal(size=(5000, 16)).astype(np.float32)
    return lambda cache: ModuleFeaturizer(network, layer="output", cache=cache), rows


def images():
    """Make a featurizer over the default network, and images of the size that it reads."""
    rng = np.random.default_rng(0)
    items = [rng.integers(0, 256, (224, 224, 3), np.uint8) for _ in range(400)]
    return lambda cache: PretrainedImageFeaturizer(cache=cache), items


def own():
    """Make a featurizer over a network of the user's own that has many parts, and its items."""
    torch.manual_seed(0)
    network = resnet18(weights=None)
    rows = np.random.default_rng(0).normal(size=(400, 3, 64, 64)).astype(np.float32)
    return lambda cache: ModuleFeaturizer(network, layer="avgpool", cache=cache), rows


def texts():
    """Make a featurizer over the default encoder of texts, and parts of e-mails of 20 tokens."""
    lines = Path(__file__).parents[1].joinpath("examples", "data", "emails.jsonl").read_text()
    words = " ".join(json.loads(line)["text"] for line in lines.splitlines()).split()
    tokenizer = PretrainedTextFeaturizer(cache=None).fit(["a"]).road().backbone.tokenizer
    starts = np.random.default_rng(0).integers(0, len(words) - 40, 500)
    items = [" ".join(words[k : k + 40]) for k in starts]
    encoded = [tokenizer(item, return_offsets_mapping=True)["offset_mapping"] for item in items]
    # Behind the class token there are 18 of the text, and then the last one.
    cut = [item[: offsets[18][1]] for item, offsets in zip(items, encoded, strict=True)]
    return lambda cache: PretrainedTextFeaturizer(cache=cache), cut


NETWORKS = {"tiny module": tiny, "own ResNet-18": own, "MobileNetV2": images, "MiniLM": texts}


def anew(item, n):
    """Make another item of one: numbers or words, moved around."""
    if not isinstance(item, str):
        return np.roll(item, n)
    words = item.split()
    return " ".join(words[n % len(words) :] + words[: n % len(words)])


def alone(featurizer):
    """Return what prepares an item and calls the loaded network."""
    road = featurizer.road()
    (runner,) = Runners("cpu", "float32", featurizer.weights_digest_).load(road.backbone)
    module = runner._network.arranged.module
    if isinstance(featurizer, PretrainedTextFeaturizer):
        encode = road.backbone._texts.backend.encode

        def read(text):
            found = encode(text)
            inputs = {
                "input_ids": torch.tensor([found.ids]),
                "token_type_ids": torch.tensor([found.type_ids]),
                "attention_mask": torch.tensor([found.attention_mask]),
            }
            with torch.inference_mode():
                module(**inputs)

        return read

    def call(item):
        samples = road.backbone.prepare([item])
        batch = road.backbone.collate(samples, torch.device("cpu"), torch.float32)
        with torch.inference_mode():
            road.backbone.call(module, batch)

    return call


def in_turns(calls, items):
    """Send each item both ways, from one thread; return what `timed` does, for each way."""
    times, busy = {name: [] for name in calls}, {name: [] for name in calls}
    for k, item in enumerate(items):
        for name in list(calls) if k % 2 else reversed(calls):
            began, used = time.perf_counter(), time.process_time()
            calls[name](item)
            busy[name].append(1000 * (time.process_time() - used))
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: (times[name], 1000 * len(items) / sum(times[name]), busy[name]) for name in calls}


def timed(call, items, threads):
    """Send items from several threads; return milliseconds, items a second, processor time."""
    times, busy = [], []
    shares = [items[k::threads] for k in range(threads)]
    start = threading.Barrier(threads + 1)

    def work(share):
        start.wait()
        for item in share:
            began, used = time.perf_counter(), time.thread_time()
            call(item)
            busy.append(1000 * (time.thread_time() - used))
            times.append(1000 * (time.perf_counter() - began))

    workers = [threading.Thread(target=work, args=(share,)) for share in shares]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return times, len(items) / (time.perf_counter() - began), busy


def main():
    """Print a line for each network, cache and number of threads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=200)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{torch.get_num_threads()} threads of torch")
    for name in chosen.networks:
        make, items = NETWORKS[name]()
        for cache in (None, "memory"):
            fitted = make(cache).fit(items[:2])
            fitted.transform(items[:2])
            featurizer = pickle.loads(pickle.dumps(fitted)).warm_up()
            bare = alone(featurizer)
            for threads in chosen.threads:
                some = items[: chosen.requests]
                timed(bare, some[:40], threads)
                for item in items[-8:]:
                    featurizer.transform([item])
                fresh = [anew(item, threads) for item in some]
                calls = {"alone": bare, "transform": lambda x, f=featurizer: f.transform([x])}
                if threads == 1:
                    lines = in_turns(calls, fresh)
                else:
                    lines = {name: timed(call, fresh, threads) for name, call in calls.items()}
                told = "  ".join(
                    f"{way} p50 {np.median(t):7.3f} p95 {np.percentile(t, 95):7.3f} {rate:7.1f}/s"
                    for way, (t, rate, _) in lines.items()
                )
                more, busy = (
                    np.median(lines["transform"][k]) - np.median(lines["alone"][k]) for k in (0, 2)
                )
                print(
                    f"{name:12} cache={cache!s:6} {threads:2} at once  {told}  "
                    f"p50 + {more:.3f} ms, on a processor + {busy:.3f} ms",
                    flush=True,
                )


if __name__ == "__main__":
    main()
