"""embetter's encoders, with the weights that all contenders have.

TimmEncoder leaves its network in training mode, so that batch norm runs over batches of one: its
features are then its own.
"""

import given
import numpy as np
from worker import load


def make(task):
    """Build the encoder of the task's kind."""
    items = given.items(task)
    if task["kind"] == "texts":
        from embetter.text import SentenceEncoder

        encoder = SentenceEncoder(task["folder"], device="cpu")
        return lambda: encoder.transform(items)
    return _images(task, items)


def _images(task, items):
    import timm
    from embetter.vision import ImageLoader, TimmEncoder

    ours = load("timm")
    create = timm.create_model
    timm.create_model = lambda name, **options: create(name, **options | {"pretrained": False})
    encoder = TimmEncoder(ours.NAMES.get(task["network"], task["network"]))
    timm.create_model = create
    encoder.model.load_state_dict(ours.network(task).state_dict())
    encoder.transform_img = ours.preparation(task)
    loader = ImageLoader()

    def work():
        if task["kind"] == "files":
            return encoder.transform(loader.transform(items))
        return np.asarray(encoder.transform([given.picture(item) for item in items]))

    return work
