"""Memory of an export, beside that of the weights: each network in a process of its own.

    python benchmarks/exported_memory.py                       # middling networks
    python benchmarks/exported_memory.py vit_l_16 vit_h_14     # these
    python benchmarks/exported_memory.py --write               # and the table into docs/export.md

Weights are random, and read from a safetensors file, as downloaded ones are. Counted is memory that
the process itself fills (RssAnon), beyond what the libraries take: after `fit` and `transform`, and
at the peak of `export_onnx`. Pages of files that are only mapped are not among it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

NETWORKS = ("mobilenet_v2", "resnet50", "vit_b_16", "vgg16", "convnext_large")
COLUMNS = ["network", "weights", "fitted", "peak", "of the weights", "time", "file"]
MEGABYTE = 2**20


class Peak:
    """While it is entered, the largest memory of the process, looked up every few milliseconds."""

    def __enter__(self):
        self.most = anonymous()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.005):
            self.most = max(self.most, anonymous())

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


def anonymous():
    """Return the bytes that the process has filled itself."""
    told = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s*(\d+)", told)[1])


def measure(name):
    """Export one network, and print what it took."""
    import numpy as np
    import torch

    from sklearn_pretrained import ModuleFeaturizer, PretrainedImageFeaturizer, export_onnx

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = np.ones((2, 3), np.float32)
        tiny = ModuleFeaturizer(torch.nn.Linear(3, 2)).fit(rows)
        export_onnx(tiny, folder / "tiny.onnx", examples=rows)  # imports all there is to import
        if name != "mobilenet_v2":
            subprocess.run([sys.executable, __file__, "--save", name, place], check=True)
            options = {"weights": str(folder / "weights.safetensors")}
        else:
            options = {}
        X = np.random.default_rng(0).integers(0, 256, (3, 240, 240, 3), np.uint8)
        before = anonymous()
        featurizer = PretrainedImageFeaturizer(name, cache=None, device="cpu", **options).fit(X)
        featurizer.transform(X)
        fitted = anonymous() - before
        began = time.time()
        with Peak() as peak:
            export_onnx(featurizer, folder / "network.onnx", examples=X)
        seconds = time.time() - began
        size = sum(path.stat().st_size for path in folder.glob("network.onnx*"))
        weights = sum(
            one.nbytes for one in featurizer.find_backbone().build().state_dict().values()
        )
    found = {"weights": weights, "fitted": fitted, "peak": peak.most - before}
    print(json.dumps({**found, "seconds": seconds, "file": size}))


def save(name, place):
    """Write random weights."""
    import torch
    from safetensors.torch import save_file
    from torchvision.models import get_model

    torch.manual_seed(0)
    network = get_model(name)
    save_file(network.state_dict(), Path(place, "weights.safetensors"))


def line(name, found):
    """Lay out what one process printed."""
    sizes = [f"{found[key] / MEGABYTE:,.0f} MiB" for key in ("weights", "fitted", "peak")]
    ratio = f"{found['peak'] / found['weights']:.1f} ×"
    return [f"`{name}`", *sizes, ratio, f"{found['seconds']:.0f} s", _size(found["file"])]


def _size(count):
    return f"{count / MEGABYTE:,.0f} MiB"


def main(names, *, write):
    """Print the table, and write it to the page."""
    lines = []
    for name in names or NETWORKS:
        command = [sys.executable, __file__, "--one", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        lines.append(line(name, json.loads(done.stdout.splitlines()[-1])))
        print(*lines[-1], sep="  ", flush=True)
    if write:
        import exported_page

        command = " ".join(["python benchmarks/exported_memory.py", *names, "--write"])
        told = exported_page.head(command, "torch", "onnxruntime", "torchvision")
        exported_page.put("memory", f"{exported_page.table(COLUMNS, lines)}\n\n{told}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2])
    elif sys.argv[1:2] == ["--save"]:
        save(*sys.argv[2:])
    else:
        main([word for word in sys.argv[1:] if word != "--write"], write="--write" in sys.argv)
