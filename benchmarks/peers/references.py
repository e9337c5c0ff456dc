"""A described task → the rows it should give, by plain torchvision and transformers, and its work.

Nothing of sklearn-pretrained is used, so that its own rows are checked like everyone's.
"""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import given
import numpy as np

SAME = 1e-4
OTHER = "other features"


def reference(told: dict, cache: Path) -> dict[str, np.ndarray]:
    """Return rows by name: files have two, since Pillow and tensors are resized differently."""
    weights = told.get("weights") or str(Path(told["folder"]) / "model.safetensors")
    # Weights and items of a cache folder are made once, so that their names tell them apart.
    key = hashlib.sha256(json.dumps([told["kind"], weights, told["items"]]).encode()).hexdigest()
    path = cache / f"reference-{key[:16]}.npz"
    if not path.is_file():
        items, rows = given.items(told), _plain(told)
        found = {"same": rows(items)}
        if told["kind"] == "files":
            found["same, by Pillow's resizing"] = rows(items, given.picture)
        np.savez(path, **found)
    with np.load(path) as rows:
        return dict(rows)


def seconds_per_item(told: dict) -> float:
    """Time plain PyTorch, in small batches, after a first pass."""
    import torch

    torch.set_num_threads(told["threads"])
    items, rows = given.items(told), _plain(told)
    rows(items[:4])
    started = time.perf_counter()
    rows(items)
    return (time.perf_counter() - started) / len(items)


def _plain(told: dict) -> Callable[..., np.ndarray]:
    return _texts(told) if told["kind"] == "texts" else _images(told)


def _images(told: dict) -> Callable[..., np.ndarray]:
    import torch
    from torchvision.transforms.v2 import functional

    network, prepare = given.network(told), given.preset(told)

    def tensor(item):
        # The preset's resizing is that of torchvision's first transforms, which round otherwise.
        pixels = torch.from_numpy(np.array(given.picture(item))).permute(2, 0, 1)
        return functional.resize(pixels, [told["resize"]], antialias=True)

    def rows(items, read=tensor):
        with torch.inference_mode():
            parts = given.batches(items, 4)
            return np.concatenate(
                [network(torch.stack([prepare(read(i)) for i in p])).numpy() for p in parts]
            )

    return rows


def _texts(told: dict) -> Callable[..., np.ndarray]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(told["folder"])
    network = AutoModel.from_pretrained(told["folder"]).eval()
    options = {"truncation": True, "max_length": told["max_length"], "return_tensors": "pt"}

    def rows(texts):
        with torch.inference_mode():
            means = [
                network(**tokenizer(text, **options)).last_hidden_state[0].mean(0).numpy()
                for text in texts
            ]
        matrix = np.stack(means)
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    return rows


def judge(
    rows: np.ndarray, references: dict[str, np.ndarray], tolerance: float
) -> tuple[str, float]:
    """Return what the features are, and their largest error relative to a row's norm."""
    if any(rows.shape != wanted.shape for wanted in references.values()):
        return OTHER, float("inf")
    errors = {name: _relative_error(rows, wanted) for name, wanted in references.items()}
    nearest = min(errors, key=errors.get)
    error = errors[nearest]
    if error <= SAME:
        return nearest, error
    return (f"near: {nearest}" if error <= tolerance else OTHER), error  # NaN is other


def _relative_error(rows: np.ndarray, wanted: np.ndarray) -> float:
    distances = np.linalg.norm(rows - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    return float(distances.max())


def useful_flops(told: dict) -> float:
    """Count the float operations of the network over the real items, padding not included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count(network, *arguments) -> int:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(*arguments)
        return counter.get_total_flops()

    items = given.items(told)
    if told["kind"] != "texts":
        network = given.network(told).to("meta")
        return len(items) * count(network, torch.zeros(1, 3, 224, 224, device="meta"))
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(told["folder"])
    tokens = tokenizer(items, truncation=True, max_length=told["max_length"])["input_ids"]
    lengths = np.array([len(row) for row in tokens], dtype=float)
    config = AutoConfig.from_pretrained(told["folder"], attn_implementation="eager")
    network = AutoModel.from_config(config, attn_implementation="eager").eval()
    # Work is a·L + b·L² for a text of L tokens, but for the pooler.
    network.pooler = None
    one, two = (count(network, torch.zeros(1, n, dtype=torch.long)) for n in (32, 64))
    square = (two - 2 * one) / (2 * 32**2)
    return float((one / 32 - 32 * square) * lengths.sum() + square * (lengths**2).sum())
