"""How much memory a transform needs beyond the network and its output, for few and for many paths.

    python benchmarks/memory.py                    # 1,000 and 100,000 JPEG files
    python benchmarks/memory.py --counts 1000 20000

Each count runs in a process of its own, over files that all differ, with a small network, so that
what is seen is the way of the items and not the network. The peak is that of the resident set.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CHILD = """
import json, resource, sys, threading, time
from pathlib import Path
import numpy as np
from PIL import Image
import torch
from torchvision.transforms import CenterCrop, Compose, ToTensor
from sklearn_pretrained import PretrainedImageFeaturizer

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

torch.manual_seed(0)
network = torch.nn.Sequential(
    torch.nn.Conv2d(3, 64, 5, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
)
folder, count, cache = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
paths = sorted(map(str, folder.iterdir()))[:count]
featurizer = PretrainedImageFeaturizer(
    network, layer="3", preprocessing=Compose([CenterCrop(128), ToTensor()]), cache=cache
)
featurizer.fit(paths[:64]).transform(paths[:64])
before, peak, done = resident(), 0, threading.Event()

def watch():
    global peak
    while not done.wait(0.005):
        peak = max(peak, resident())

watcher = threading.Thread(target=watch)
watcher.start()
started = time.perf_counter()
rows = featurizer.transform(paths)
seconds = time.perf_counter() - started
done.set()
watcher.join()
print(json.dumps({"grown": peak - before - rows.nbytes, "seconds": seconds}))
"""


def write_images(folder: Path, count: int) -> None:
    """Write JPEG files of 160×160 that all differ."""
    from PIL import Image

    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for i in range(count):
        base[i % 40, (i // 40) % 40] = rng.integers(0, 256, 3)
        image = Image.fromarray(base).resize((160, 160))
        image.save(folder / f"{i:07}.jpg", quality=40, comment=str(i).encode())


def main() -> None:
    """Print a line for each count and cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 100_000])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), max(chosen.counts))
        for cache in (None, "memory"):
            for count in chosen.counts:
                child = [sys.executable, "-c", CHILD, folder, str(count), json.dumps(cache)]
                done = subprocess.run(child, capture_output=True, text=True, check=True)
                seen = json.loads(done.stdout.splitlines()[-1])
                print(
                    f"cache={cache!s:>6}: {count:>7,} paths, {seen['grown'] / 2**20:6.0f} MiB "
                    f"beyond network and output, {count / seen['seconds']:,.0f} files/s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
