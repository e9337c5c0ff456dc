"""fastembed over the ONNX file of the network, with its defaults."""

import given
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType


def make(task):
    """Register the folder as a model of its own; a pass is one embed."""
    TextEmbedding.add_custom_model(
        model="shared/encoder",
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf="shared/encoder"),
        dim=task["width"],
        model_file=task["onnx_name"],
    )
    model = TextEmbedding(
        "shared/encoder", specific_model_path=task["folder"], threads=task["threads"]
    )
    texts = given.items(task)
    return lambda: list(model.embed(texts))
