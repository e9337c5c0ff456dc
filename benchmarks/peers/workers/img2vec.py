"""img2vec_pytorch: lists of 32 pictures, with the network's own preparation and our weights.

Its own preparation squeezes pictures to a square, which gives other features.
"""

import given
import img2vec_pytorch.img_to_vec as library
import numpy as np
import torch
import torchvision


def make(task):
    """Build its extractor without a download."""
    name = task["network"]
    library.resnet18 = library.resnet50 = lambda **_: torchvision.models.get_model(name)
    size = library.Img2Vec.RESNET_OUTPUT_SIZES[name]
    extractor = library.Img2Vec(model=name, layer="default", layer_output_size=size)
    extractor.model.load_state_dict(torch.load(task["weights"], weights_only=True))
    extractor.transforms = given.preset(task)
    items = given.items(task)

    def work():
        parts = given.batches(items, 32)
        return np.concatenate([extractor.get_vec([given.picture(i) for i in p]) for p in parts])

    return work
