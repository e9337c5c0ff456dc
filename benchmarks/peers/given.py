"""A task's description → what every worker is given: items, network, preparation, pooling."""

import json
from pathlib import Path

import numpy as np

HEADS = {"resnet18": "fc", "resnet50": "fc", "mobilenet_v2": "classifier", "vit_b_16": "heads"}


def items(task):
    """Read the arrays (N, H, W, 3), the paths, or the texts."""
    path = Path(task["items"])
    return np.load(path) if path.suffix == ".npy" else json.loads(path.read_text())


def picture(item):
    """Make an RGB picture of a path or an array."""
    from PIL import Image

    return (
        Image.fromarray(item) if isinstance(item, np.ndarray) else Image.open(item).convert("RGB")
    )


def network(task):
    """Build torchvision's network, without its head, with the weights that all contenders have."""
    import torch
    from torchvision.models import get_model

    model = get_model(task["network"], weights=None)
    model.load_state_dict(torch.load(task["weights"], weights_only=True))
    setattr(model, HEADS[task["network"]], torch.nn.Identity())
    return model.eval()


def preset(task):
    """Return torchvision's own preparation for the network; takes pictures and tensors."""
    from torchvision.transforms._presets import ImageClassification

    return ImageClassification(crop_size=224, resize_size=task["resize"])


def batches(things, size):
    """Cut a sequence into parts of at most ``size``."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def prepared(task, part, prepare):
    """Stack some items as the network takes them, the way a short script does."""
    import torch

    if task["kind"] == "arrays":
        return prepare(torch.from_numpy(part).permute(0, 3, 1, 2))
    return torch.stack([prepare(picture(item)) for item in part])


def by_shape(state, wanted):
    """Give tensors the names of another implementation with the same layers in the same order."""
    left = list(state.items())
    named = {}
    for name, tensor in wanted.items():
        place = next(i for i, (_, t) in enumerate(left) if t.shape == tensor.shape)
        named[name] = left.pop(place)[1]
    return named


def unit_means(hidden, mask):
    """Average the tokens that count, and bring the rows to length 1."""
    weights = mask[..., None].astype(np.float32)
    rows = (hidden * weights).sum(1) / weights.sum(1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sorted_rows(task, texts, tokenizer, forward, size=32):
    """Tokenise all texts, run batches of similar lengths, and put rows back in order."""
    tokens = tokenizer(texts, truncation=True, max_length=task["max_length"])
    order = sorted(range(len(texts)), key=lambda i: len(tokens["input_ids"][i]))
    rows = np.empty((len(texts), task["width"]), np.float32)
    for part in batches(order, size):
        batch = tokenizer.pad(
            {name: [values[i] for i in part] for name, values in tokens.items()},
            return_tensors="np",
        )
        batch = {name: values.astype(np.int64) for name, values in batch.items()}
        rows[part] = unit_means(forward(batch), batch["attention_mask"])
    return rows
