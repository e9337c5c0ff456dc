"""Parameters, width and cost of each of timm's networks, for the table of `list_backbones`.

    python benchmarks/timm_costs.py            # writes what is missing, in about half an hour

Networks are built on the meta device: no weights, no arithmetic. One that cannot be is left out.
"""

import csv
import time
from pathlib import Path

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

import sklearn_pretrained.backbones
from sklearn_pretrained.backbones import find_image

TABLE = Path(sklearn_pretrained.backbones.__file__).parent / "timm" / "costs.csv"


def measure(name):
    """Return parameters, penultimate width and billions of multiply-adds for one image."""
    backbone = find_image(f"timm/{name}", weights=None)
    network = backbone.skeleton(grown=False).requires_grad_(False)
    width = getattr(network, "head_hidden_size", None) or network.num_features
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        backbone.rehearse(network, 1, grown=False)
    parameters = sum(one.numel() for one in network.parameters())
    return parameters, width, round(flops.get_total_flops() / 2e9, 3)


def main():
    """Add a line for each network that has none."""
    known = {}
    if TABLE.exists():
        with TABLE.open(newline="") as file:
            known = {name: numbers for name, *numbers in list(csv.reader(file))[1:]}
    for name in timm.list_models():
        if name in known:
            continue
        start = time.perf_counter()
        try:
            known[name] = measure(name)
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:100]}", flush=True)
            continue
        print(f"{name}: {known[name]}, {time.perf_counter() - start:.1f} s", flush=True)
    with TABLE.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "parameters", "width", "cost"])
        table.writerows([name, *known[name]] for name in sorted(known))


if __name__ == "__main__":
    main()
