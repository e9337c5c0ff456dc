"""PyTorch the way a short script uses it: items in the given order, batches of one size."""

import given
import numpy as np
import torch


def make(task, batch):
    """Load the network; a pass prepares and runs one batch after the other."""
    items = given.items(task)
    rows = _texts if task["kind"] == "texts" else _images
    return rows(task, items, batch)


def _images(task, items, size):
    network, prepare = given.network(task), given.preset(task)

    @torch.no_grad()
    def work():
        parts = given.batches(items, size)
        return np.concatenate([network(given.prepared(task, p, prepare)).numpy() for p in parts])

    return work


def _texts(task, texts, size):
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(task["folder"])
    network = AutoModel.from_pretrained(task["folder"]).eval()
    options = {"truncation": True, "max_length": task["max_length"], "return_tensors": "pt"}

    @torch.no_grad()
    def work():
        rows = []
        for part in given.batches(texts, size):
            batch = tokenizer(part, padding=True, **options)
            hidden = network(**batch).last_hidden_state
            rows.append(given.unit_means(hidden.numpy(), batch["attention_mask"].numpy()))
        return np.concatenate(rows)

    return work
