"""timm's own implementation of the network, in batches of 32, with its own preparation."""

import given
import numpy as np
import timm
import torch
from timm.data import create_transform

NAMES = {"mobilenet_v2": "mobilenetv2_100", "vit_b_16": "vit_base_patch16_224"}


def network(task):
    """Build timm's network with the weights that all contenders have."""
    model = timm.create_model(NAMES.get(task["network"], task["network"]), pretrained=False)
    state = torch.load(task["weights"], weights_only=True)
    model.load_state_dict(given.by_shape(state, model.state_dict()))
    model.reset_classifier(0)
    return model.eval()


def preparation(task):
    """Return timm's transform with the numbers of the network's weights."""
    return create_transform(
        224,
        interpolation="bilinear",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        crop_pct=224 / task["resize"],
    )


def make(task):
    """Build it; a pass prepares pictures one by one and runs batches."""
    model, prepare, items = network(task), preparation(task), given.items(task)

    @torch.inference_mode()
    def work():
        parts = given.batches(items, 32)
        stacks = (torch.stack([prepare(given.picture(item)) for item in part]) for part in parts)
        return np.concatenate([model(stack).numpy() for stack in stacks])

    return work
