"""thingsvision: its extractor over a PyTorch network, batches of 32 from its own data loader."""

import given
import numpy as np
from thingsvision import get_extractor_from_model

MODULES = {
    "resnet18": "avgpool",
    "resnet50": "avgpool",
    "mobilenet_v2": "features",
    "vit_b_16": "encoder.ln",
}


def make(task):
    """Build the extractor; a pass reads one layer, pooled as the network itself pools it."""
    prepare, items = given.preset(task), given.items(task)
    extractor = get_extractor_from_model(model=given.network(task), device="cpu", backend="pt")

    def work():
        parts = (given.prepared(task, part, prepare) for part in given.batches(items, 32))
        rows = extractor.extract_features(
            batches=parts, module_name=MODULES[task["network"]], flatten_acts=False
        )
        if task["network"] == "vit_b_16":
            return rows[:, 0]
        return np.asarray(rows).mean((2, 3))

    return work
