"""OpenVINO in float32: images in batches of 8, texts sorted by length in batches of 32."""

import given
import numpy as np
import openvino
import torch


def make(task):
    """Convert the PyTorch network and compile it for the processor."""
    items = given.items(task)
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": task["threads"],
        "PERFORMANCE_HINT": "LATENCY",
    }
    if task["kind"] == "texts":
        return _texts(task, items, options)
    torch.backends.mha.set_fastpath_enabled(False)  # it cannot be traced
    converted = openvino.convert_model(
        given.network(task), example_input=torch.zeros(1, 3, 224, 224)
    )
    converted.reshape([-1, 3, 224, 224])
    compiled = openvino.compile_model(converted, "CPU", options)
    prepare = given.preset(task)

    def work():
        parts = given.batches(items, 8)
        return np.concatenate(
            [compiled(given.prepared(task, p, prepare).numpy())[0] for p in parts]
        )

    return work


def _texts(task, texts, options):
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(task["folder"])
    network = AutoModel.from_pretrained(task["folder"], return_dict=False).eval()
    example = dict(tokenizer(["an example"], return_tensors="pt"))
    compiled = openvino.compile_model(
        openvino.convert_model(network, example_input=example), "CPU", options
    )
    return lambda: given.sorted_rows(task, texts, tokenizer, lambda batch: compiled(batch)[0])
