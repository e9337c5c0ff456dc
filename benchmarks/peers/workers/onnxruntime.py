"""ONNX Runtime: images in batches of 8, texts sorted by length in batches of 32."""

import given
import numpy as np
import onnxruntime


def make(task):
    """Load the ONNX file that was written for this task's network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task["threads"]
    session = onnxruntime.InferenceSession(
        task["onnx"], options, providers=["CPUExecutionProvider"]
    )
    names = [given_input.name for given_input in session.get_inputs()]
    items = given.items(task)
    if task["kind"] == "texts":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(task["folder"])

        def forward(batch):
            return session.run(None, {name: batch[name] for name in names})[0]

        return lambda: given.sorted_rows(task, items, tokenizer, forward)
    prepare = given.preset(task)

    def work():
        rows = []
        for part in given.batches(items, 8):
            pixels = given.prepared(task, part, prepare).numpy()
            rows.append(session.run(None, {names[0]: pixels})[0])
        return np.concatenate(rows)

    return work
