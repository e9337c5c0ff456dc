"""A described task, as JSON on the command line → its network as an ONNX file.

Run in the environment of ONNX Runtime.
"""

import json
import sys
import warnings
from pathlib import Path

import given
import torch


def write(told):
    """Export with a free batch size, and a free number of tokens."""
    path = Path(told["onnx"])
    path.parent.mkdir(parents=True, exist_ok=True)
    if told["kind"] == "texts":
        from transformers import AutoModel

        network = AutoModel.from_pretrained(told["folder"], attn_implementation="eager").eval()
        network.pooler = None
        # An input of its own for each, and a padded text, so that nothing is taken as constant.
        mask = torch.ones(2, 8, dtype=torch.long)
        mask[1, 5:] = 0
        example = {
            "input_ids": torch.full((2, 8), 1000),
            "attention_mask": mask,
            "token_type_ids": torch.zeros(2, 8, dtype=torch.long),
        }
        names = list(example)
        free = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=512)}
        torch.onnx.export(
            network,
            (),
            path,
            kwargs=example,
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_shapes=dict.fromkeys(names, free),
            dynamo=True,
            external_data=False,
        )
    else:
        torch.onnx.export(
            given.network(told),
            (torch.zeros(2, 3, 224, 224),),
            path,
            input_names=["pixels"],
            dynamic_shapes=({0: torch.export.Dim("images")},),
            dynamo=True,
            external_data=False,
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write(json.loads(sys.argv[1]))
