"""transformers' pipelines: images through its wrapper of timm's networks, texts one by one.

Its guide advises against batches on CPUs; images go in batches of 8 all the same, since it is
faster.
"""

import given
import numpy as np
from transformers import pipeline
from worker import load


def make(task):
    """Build the pipeline of the task's kind."""
    items = given.items(task)
    if task["kind"] == "texts":
        return _texts(task, items)
    return _images(task, items)


def _texts(task, texts):
    tokens = pipeline(
        "feature-extraction",
        model=task["folder"],
        device="cpu",
        tokenize_kwargs={"truncation": True, "max_length": task["max_length"]},
        return_tensors=True,
    )

    def work():
        rows = np.concatenate([hidden.numpy().mean(1) for hidden in tokens(texts)])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return work


def _images(task, items):
    from transformers import TimmWrapperConfig, TimmWrapperImageProcessor, TimmWrapperModel

    timm = load("timm")
    architecture = timm.NAMES.get(task["network"], task["network"])
    data = {
        "input_size": (3, 224, 224),
        "interpolation": "bilinear",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "crop_pct": 224 / task["resize"],
        "crop_mode": "center",
    }
    config = TimmWrapperConfig(architecture=architecture, pretrained_cfg=data)
    model = TimmWrapperModel(config).eval()
    model.timm_model.load_state_dict(timm.network(task).state_dict())
    pooled = pipeline(
        "image-feature-extraction",
        model=model,
        image_processor=TimmWrapperImageProcessor(data, architecture=architecture),
        device="cpu",
        pool=True,
        return_tensors=True,
    )

    def work():
        pictures = [given.picture(i) for i in items] if task["kind"] == "arrays" else items
        return np.concatenate([row.numpy() for row in pooled(pictures, batch_size=8)])

    return work
