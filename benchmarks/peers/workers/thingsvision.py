"""thingsvision: its extractor over a PyTorch network, batches of 32 from PyTorch's data loader."""

import given
import numpy as np
from thingsvision import get_extractor_from_model
from torch.utils.data import DataLoader, Dataset

MODULES = {
    "resnet18": "avgpool",
    "resnet50": "avgpool",
    "mobilenet_v2": "features",
    "vit_b_16": "encoder.ln",
}


class Prepared(Dataset):
    """Items as the network takes them, one by one."""

    def __init__(self, task):
        self.task, self.items, self.prepare = task, given.items(task), given.preset(task)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return given.prepared(self.task, self.items[i : i + 1], self.prepare)[0]


def make(task):
    """Build the extractor; a pass reads one layer, pooled as the network itself pools it."""
    extractor = get_extractor_from_model(model=given.network(task), device="cpu", backend="pt")
    loader = DataLoader(Prepared(task), batch_size=32)

    def work():
        rows = extractor.extract_features(
            batches=loader, module_name=MODULES[task["network"]], flatten_acts=False
        )
        rows = np.asarray(rows)
        return rows[:, 0] if task["network"] == "vit_b_16" else rows.mean((2, 3))

    return work
